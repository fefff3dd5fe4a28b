//! Which faults are injected, in which order: everything that the plan names, shuffled by its seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::plan::{Plan, ROLE_PAUSE_MIN};
use super::shop::Seat;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A fault of the fault API, with its count.
    Actor {
        target: String,
        kind: String,
        count: u32,
    },
    /// Products killed while the actors above them are killed; this many products at each of [`STORM_KILLS`].
    Storm {
        products: u32,
    },
    /// A role stopped, and started again after a pause.
    Role {
        role: String,
        pause: Duration,
    },
    ProcessKill(Seat),
    ProcessStop(Seat),
    Freeze {
        seat: Seat,
        time: Duration,
    },
    BrokerKill,
    PostgresKill,
    PostgresRestart,
    ConnectionCut,
    LogMoved,
    DiskFull,
    OutputUnread,
    PagesTrickle,
    ForeignMember,
    PolicyChanged,
}

/// Actors above the products that a storm kills.
pub const STORM_KILLS: [&str; 6] = ["committer", "shard", "log-source", "shard", "committer", "shard"];

/// Products that a storm slows, so that every shard has one most of the time.
pub const STORM_SLOW_PRODUCTS: u32 = 4;

impl Fault {
    /// The number of its strikes.
    #[must_use]
    pub fn strikes(&self) -> u64 {
        match self {
            Self::Actor { count, .. } => u64::from(*count),
            // A slow commit lets a batch gather; slow products keep it open; one kill strikes above it; the others strike products that
            // get it redelivered.
            Self::Storm { products } => STORM_KILLS.len() as u64 * u64::from(1 + STORM_SLOW_PRODUCTS + 1 + products),
            Self::Role { .. }
            | Self::ProcessKill(_)
            | Self::ProcessStop(_)
            | Self::BrokerKill
            | Self::Freeze { .. }
            | Self::PostgresKill
            | Self::PostgresRestart
            | Self::ConnectionCut
            | Self::LogMoved
            | Self::DiskFull
            | Self::OutputUnread
            | Self::PagesTrickle
            | Self::ForeignMember
            | Self::PolicyChanged => 1,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor { target, kind, .. } => write!(f, "{kind} {target}"),
            Self::Storm { .. } => f.write_str("storm of kills"),
            Self::Role { role, .. } => write!(f, "stop role {role}"),
            Self::ProcessKill(seat) => write!(f, "SIGKILL {seat}"),
            Self::ProcessStop(seat) => write!(f, "SIGTERM {seat}"),
            Self::Freeze { seat, .. } => write!(f, "SIGSTOP {seat}"),
            Self::BrokerKill => f.write_str("SIGKILL broker"),
            Self::PostgresKill => f.write_str("SIGKILL PostgreSQL"),
            Self::PostgresRestart => f.write_str("restart PostgreSQL"),
            Self::ConnectionCut => f.write_str("cut SQL connections"),
            Self::LogMoved => f.write_str("move log file away"),
            Self::DiskFull => f.write_str("fill disk"),
            Self::OutputUnread => f.write_str("stop reading log output"),
            Self::PagesTrickle => f.write_str("read pages slowly"),
            Self::ForeignMember => f.write_str("join the group from outside"),
            Self::PolicyChanged => f.write_str("change topic policy"),
        }
    }
}

/// The faults of a plan, in the order of injection.
#[must_use]
pub fn faults(plan: &Plan) -> Vec<Fault> {
    let asked = &plan.faults;
    let mut random = StdRng::seed_from_u64(plan.seed.wrapping_add(1));
    let mut faults = Vec::new();
    for _ in 0..asked.actor_rounds {
        for target in &asked.actor_targets {
            for kind in &asked.actor_kinds {
                let many = if target == "product" { Some(&asked.product_strikes) } else { asked.strikes.get(target) };
                // Each hang takes the time after which a hung actor is detected.
                let count = many.filter(|_| kind != "hang").copied().unwrap_or(1);
                faults.push(Fault::Actor { target: target.clone(), kind: kind.clone(), count });
            }
        }
    }
    for role in asked.roles.iter().cycle().take(asked.role_stops as usize) {
        let pause = random.random_range(ROLE_PAUSE_MIN..=asked.role_pause_max);
        faults.push(Fault::Role { role: role.clone(), pause });
    }
    faults.extend((0..asked.storms).map(|_| Fault::Storm { products: asked.product_strikes.div_ceil(STORM_KILLS.len() as u32) }));
    for (seat, count) in [(Seat::Main, asked.freezes), (Seat::Second, asked.second_freezes)] {
        for _ in 0..count {
            faults.push(Fault::Freeze { seat, time: random.random_range(asked.freeze_min..=asked.freeze_max) });
        }
    }
    for (fault, count) in [
        (Fault::ProcessKill(Seat::Main), asked.process_kills),
        (Fault::ProcessStop(Seat::Main), asked.process_stops),
        (Fault::ProcessKill(Seat::Second), asked.second_kills),
        (Fault::BrokerKill, asked.broker_kills),
        (Fault::PostgresKill, asked.postgres_kills),
        (Fault::PostgresRestart, asked.postgres_restarts),
        (Fault::ConnectionCut, asked.connection_cuts),
        (Fault::LogMoved, asked.moved_logs),
        (Fault::DiskFull, asked.full_disks),
        (Fault::OutputUnread, asked.unread_outputs),
        (Fault::PagesTrickle, asked.trickling_pages),
        (Fault::ForeignMember, asked.foreign_members),
        (Fault::PolicyChanged, asked.changed_policies),
    ] {
        faults.extend((0..count).map(|_| fault.clone()));
    }
    faults.shuffle(&mut random);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_schedule_again() {
        let mut plan = Plan::read("default").unwrap();
        let first = faults(&plan);
        assert_eq!(first, faults(&plan));
        plan.seed += 1;
        assert_ne!(first, faults(&plan));
        assert_eq!(first.len(), faults(&plan).len());
    }

    #[test]
    fn everything_that_the_plan_names_strikes() {
        let plan = Plan::read("default").unwrap();
        let faults = faults(&plan);
        let count = |wanted: &Fault| faults.iter().filter(|fault| *fault == wanted).count();
        assert_eq!(count(&Fault::ProcessKill(Seat::Main)), plan.faults.process_kills as usize);
        assert_eq!(count(&Fault::PostgresKill), plan.faults.postgres_kills as usize);
        for target in &plan.faults.actor_targets {
            for kind in &plan.faults.actor_kinds {
                let name = format!("{kind} {target}");
                assert_eq!(faults.iter().filter(|fault| fault.to_string() == name).count(), 1, "{name}");
            }
        }
    }
}
