//! Which faults strike, and in which order: everything that the plan names, shuffled by its seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::plan::Plan;

/// One thing that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A fault of the fault API, so many times.
    Actor {
        target: String,
        kind: String,
        count: u32,
    },
    /// A role, stopped and started again after a while.
    Role {
        role: &'static str,
        pause: Duration,
    },
    ProcessKill,
    ProcessStop,
    Freeze {
        time: Duration,
    },
    PostgresKill,
    PostgresRestart,
    ConnectionCut,
}

/// Roles that can be stopped under load.
const ROLES: [&str; 3] = ["inventory", "cdc", "api"];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actor { target, kind, .. } => write!(f, "{kind} {target}"),
            Self::Role { role, .. } => write!(f, "stop role {role}"),
            Self::ProcessKill => f.write_str("SIGKILL shop"),
            Self::ProcessStop => f.write_str("SIGTERM shop"),
            Self::Freeze { .. } => f.write_str("SIGSTOP shop"),
            Self::PostgresKill => f.write_str("SIGKILL PostgreSQL"),
            Self::PostgresRestart => f.write_str("restart PostgreSQL"),
            Self::ConnectionCut => f.write_str("cut SQL connections"),
        }
    }
}

/// The faults of a plan, in the order in which they strike.
#[must_use]
pub fn faults(plan: &Plan) -> Vec<Fault> {
    let asked = &plan.faults;
    let mut random = StdRng::seed_from_u64(plan.seed.wrapping_add(1));
    let mut faults = Vec::new();
    for _ in 0..asked.actor_rounds {
        for target in &asked.actor_targets {
            for kind in &asked.actor_kinds {
                let many = target == "product" && kind != "hang";
                let count = if many { asked.product_strikes } else { 1 };
                faults.push(Fault::Actor { target: target.clone(), kind: kind.clone(), count });
            }
        }
    }
    for number in 0..asked.role_stops {
        let role = ROLES[number as usize % ROLES.len()];
        faults.push(Fault::Role { role, pause: Duration::from_millis(random.random_range(100..1_500)) });
    }
    for _ in 0..asked.freezes {
        faults.push(Fault::Freeze { time: random.random_range(asked.freeze_min..=asked.freeze_max) });
    }
    for (fault, count) in [
        (Fault::ProcessKill, asked.process_kills),
        (Fault::ProcessStop, asked.process_stops),
        (Fault::PostgresKill, asked.postgres_kills),
        (Fault::PostgresRestart, asked.postgres_restarts),
        (Fault::ConnectionCut, asked.connection_cuts),
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
        assert_eq!(count(&Fault::ProcessKill), plan.faults.process_kills as usize);
        assert_eq!(count(&Fault::PostgresKill), plan.faults.postgres_kills as usize);
        for target in &plan.faults.actor_targets {
            for kind in &plan.faults.actor_kinds {
                let name = format!("{kind} {target}");
                assert_eq!(faults.iter().filter(|fault| fault.to_string() == name).count(), 1, "{name}");
            }
        }
    }
}
