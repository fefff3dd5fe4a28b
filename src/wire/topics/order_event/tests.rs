use super::*;
use bytes::Bytes;

const LEAST: &str = r#"{"orderId":"o-1","productId":"PROD_0001","quantity":2,"timestamp":1732500000000}"#;

fn refusal(json: &str) -> String {
    decode_value(json.as_bytes()).map(|event| format!("accepted: {event:?}")).unwrap_or_else(|invalid| invalid.to_string())
}

fn direct() -> OrderEvent {
    OrderEvent {
        order_id: OrderId::new("o-1").unwrap(),
        product_id: ProductId::new("PROD_0001").unwrap(),
        wish: Wish::Units(Quantity::new(2).unwrap()),
        timestamp_ms: Some(1_732_500_000_000),
        order_item_id: Some(OrderItemId::new("i-1").unwrap()),
        source: Some(OrderSource::Direct),
        expires_at_ms: Some(1_732_500_015_000),
    }
}

fn text(record: &NewRecord) -> String {
    String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap()
}

#[test]
fn the_platforms_event_is_enough() {
    let event = decode_value(LEAST.as_bytes()).unwrap();
    assert_eq!(event, OrderEvent { order_item_id: None, source: None, expires_at_ms: None, ..direct() });
    assert_eq!(event.item().unwrap().quantity.units(), 2);
    assert_eq!(text(&event.record(None)), LEAST);
}

#[test]
fn each_publisher_writes_what_is_read_again() {
    let wal = OrderEvent { source: Some(OrderSource::Wal), expires_at_ms: None, ..direct() };
    insta::assert_snapshot!(text(&direct().record(None)), @r#"{"orderId":"o-1","productId":"PROD_0001","quantity":2,"timestamp":1732500000000,"orderItemId":"i-1","source":"direct","expiresAt":1732500015000}"#);
    insta::assert_snapshot!(text(&wal.record(None)), @r#"{"orderId":"o-1","productId":"PROD_0001","quantity":2,"timestamp":1732500000000,"orderItemId":"i-1","source":"wal"}"#);
    insta::assert_snapshot!(text(&direct().probe().record(None)), @r#"{"orderId":"o-1","productId":"PROD_0001","quantity":0,"timestamp":1732500000000,"orderItemId":"i-1","source":"direct","expiresAt":1732500015000,"probe":true}"#);
    for event in [direct(), wal, direct().probe()] {
        assert_eq!(decode_value(text(&event.record(None)).as_bytes()), Ok(event));
    }
}

#[test]
fn the_record_has_the_product_as_key_and_carries_the_trace() {
    let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let record = direct().record(Some(&trace));
    assert_eq!(
        (record.topic, record.partition, record.key.as_deref()),
        (Topic::OrderEvents, None, Some(b"PROD_0001".as_slice()))
    );
    assert_eq!(record.headers.get_str("traceparent"), Some(trace.to_string().as_str()));
    assert!(direct().record(None).headers.0.is_empty());
}

#[test]
fn the_key_must_name_the_product() {
    let record = |key: &'static str, value: Option<&'static str>| Record {
        topic: Topic::OrderEvents,
        partition: 0,
        offset: 0,
        append_time_ms: 0,
        key: Some(Bytes::from_static(key.as_bytes())),
        value: value.map(|text| Bytes::from_static(text.as_bytes())),
        headers: crate::wire::topics::record::Headers::none(),
    };
    assert!(decode(&record("PROD_0001", Some(LEAST))).is_ok());
    assert!(decode(&record("", Some(LEAST))).is_ok());
    assert_eq!(
        decode(&record("PROD_0002", Some(LEAST))).unwrap_err().to_string(),
        "the key is PROD_0002, but productId is PROD_0001"
    );
    assert_eq!(decode(&record("PROD_0001", None)), Err(Invalid::NullValue));
}

#[test]
fn what_is_refused_names_its_field() {
    let with = |from: &str, to: &str| LEAST.replace(from, to);
    let quantity = |value: &str| with(r#""quantity":2"#, &format!(r#""quantity":{value}"#));
    let cases = [
        (quantity("0"), "quantity is 0, expected an integer of at least 1"),
        (quantity("-1"), "quantity is -1, expected"),
        (quantity("2.0"), "quantity: invalid type: floating point `2.0`, expected an integer"),
        (quantity("5.9"), "quantity: invalid type: floating point `5.9`, expected an integer"),
        (quantity(r#""5""#), r#"quantity: invalid type: string "5", expected an integer"#),
        (quantity("true"), "quantity: invalid type: boolean `true`, expected an integer"),
        (quantity("null"), "quantity: invalid type: null, expected an integer"),
        (quantity("9223372036854775808"), "quantity: 9223372036854775808 is too large"),
        (quantity("1e400"), "quantity: number out of range"),
        (quantity("NaN"), "quantity: expected value"),
        (quantity("1000000000001"), "quantity is 1000000000001"),
        (quantity(r#"1,"quantity":100"#), "quantity stands twice"),
        (quantity(r#"2,"probe":true"#), "quantity must be 0 in a probe"),
        (quantity(r#"-1,"probe":true"#), "quantity is -1"),
        (quantity(r#"0,"probe":false"#), "quantity is 0"),
        (quantity(r#"2,"probe":1"#), "probe: invalid type: integer `1`, expected a boolean"),
        (with("o-1", ""), "orderId is empty"),
        (with("PROD_0001", ""), "productId is empty"),
        (with("PROD_0001", &"x".repeat(51)), "productId has 51 characters"),
        (with("o-1", r"\u0000"), "orderId contains a control character"),
        (with("1732500000000", r#""today""#), "timestamp: invalid type: string"),
        (with(r#""orderId":"o-1","#, ""), "orderId is missing"),
        ("[]".to_owned(), "invalid type: sequence, expected an order item event"),
        (format!("{LEAST}x"), "trailing characters"),
        ("\0\0\0\0\u{1}".to_owned(), "expected value"),
    ];
    for (json, expected) in cases {
        let reason = refusal(&json);
        assert!(reason.starts_with(expected), "expected {expected}\n     got {reason}");
    }
}

#[test]
fn strangers_fields_and_sources_are_ignored() {
    let more = LEAST.replace(r#""orderId""#, r#""source":"web","orderItemId":null,"expiresAt":null,"note":{"a":[1]},"orderId""#);
    assert_eq!(decode_value(more.as_bytes()), decode_value(LEAST.as_bytes()));
    let timeless = LEAST.replace(r#","timestamp":1732500000000"#, "");
    assert_eq!(decode_value(timeless.as_bytes()).unwrap().timestamp_ms, None);
}

#[test]
fn a_refused_event_that_names_its_row_is_owed_an_answer() {
    let named =
        |json: &str| named_item(json.as_bytes()).map(|(product, item)| format!("{product} {} {}", item.order_id, item.quantity));
    let row = |quantity: &str| format!(r#"{{"orderId":"o","productId":"P","orderItemId":"i","quantity":{quantity}}}"#);
    assert_eq!(named(&row("-5")).as_deref(), Some("P o 0"));
    assert_eq!(named(&row("5")).as_deref(), Some("P o 5"));
    assert_eq!(named(&row("\"x\"")).as_deref(), Some("P o 0"));
    assert_eq!(named(&row(r#"1,"probe":true"#)), None);
    assert_eq!(named(LEAST), None, "an event without a row");
    assert_eq!(named("no json"), None);
}
