use super::*;

pub fn sound() -> Facts {
    let text = |text: &str| Some(text.to_owned());
    Facts {
        database: "shop".to_owned(),
        role: "reader".to_owned(),
        wal_level: "logical".to_owned(),
        standby: false,
        may_replicate: true,
        may_select: Some(true),
        identity_kind: text("i"),
        identity_columns: Some(IDENTITY.map(str::to_owned).to_vec()),
        published: true,
        publishes_changes: Some(true),
        published_columns: Some(COLUMNS.map(str::to_owned).to_vec()),
        published_filter: text(FILTER),
        slot_database: text("shop"),
        slot_plugin: text("pgoutput"),
        slot_active: Some(false),
        slot_pid: None,
        slot_program: None,
        slot_status: text("reserved"),
        slot_temporary: Some(false),
        confirmed: text("0/10"),
        restart: text("0/8"),
        safe_bytes: None,
        flushed: text("0/20"),
        now_ms: 0,
    }
}

#[test]
fn what_does_not_fit_is_named_with_what_to_do() {
    type Break = fn(&mut Facts);
    let breaks: [(Break, &str); 16] = [
        (|facts| facts.standby = true, "is a standby"),
        (|facts| facts.wal_level = "replica".to_owned(), "wal_level = logical"),
        (|facts| facts.may_replicate = false, "ALTER ROLE reader REPLICATION"),
        (|facts| facts.may_select = Some(false), "GRANT SELECT ON order_items TO reader"),
        (|facts| facts.may_select = None, "kartshoppe db migrate"),
        (|facts| facts.published = false, "is missing"),
        (|facts| facts.published_columns = None, "does not publish order_items"),
        (|facts| facts.publishes_changes = Some(false), "inserts and updates"),
        (|facts| facts.published_columns = Some(vec!["order_item_id".to_owned()]), "the column order_id"),
        (|facts| facts.published_filter = None, "is gone"),
        (|facts| facts.identity_kind = Some("f".to_owned()), "altered (FULL)"),
        (|facts| facts.slot_active = None, "is gone"),
        (|facts| facts.slot_plugin = Some("test_decoding".to_owned()), "is not ours"),
        (|facts| facts.slot_database = Some("other".to_owned()), "belongs to the database other"),
        (|facts| facts.slot_status = Some("lost".to_owned()), "max_slot_wal_keep_size"),
        (
            |facts| {
                (facts.slot_active, facts.slot_pid) = (Some(true), Some(7));
                facts.slot_program = Some("pg_recvlogical".to_owned());
            },
            "is being read by pg_recvlogical (PostgreSQL process 7)",
        ),
    ];
    let check = |facts: &Facts| facts.check_database().and_then(|()| facts.check_slot("kartshoppe"));
    assert_eq!(check(&sound()), Ok(()));
    for (spoil, text) in breaks {
        let mut facts = sound();
        spoil(&mut facts);
        let alarm = check(&facts).unwrap_err().to_string();
        assert!(alarm.contains(text), "{text}: {alarm}");
    }
}

#[test]
fn retained_wal_is_counted_from_the_slots_restart() {
    assert_eq!(sound().retained_bytes(), Some(0x18));
    assert_eq!(sound().confirmed(), Some(Lsn(0x10)));
}
