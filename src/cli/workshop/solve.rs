//! `solve N`: the chapters up to N that are not done, done for a latecomer.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::time::Instant;

use super::shell::Shell;
use super::{begin, check, log, moment, output};
use crate::app::{Second, StopSignals};
use crate::config::Config;
use crate::data_dir;
use crate::workshop::{self, Chapter, Local, Opening, Progress, Report, Stand, State, shop_after};

/// How long what a chapter has done may take to be seen.
const GREEN_WAIT: Duration = Duration::from_secs(30);
/// What a shell says of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Goes to the top of the clone: steps run there, and its shop is meant.
pub(super) fn enter_repository() -> anyhow::Result<()> {
    let here = std::env::current_dir().context("the current folder")?;
    let local =
        Local::around(&here).with_context(|| format!("{} is in no clone of the shop: call this there", here.display()))?;
    std::env::set_current_dir(&local.root).with_context(|| format!("entering {}", local.root.display()))
}

pub(super) fn run(config: &Config, last: &Chapter, yes: bool) -> anyhow::Result<ExitCode> {
    let all = workshop::chapters()?;
    let progress = Progress::load(&config.data_dir)?;
    let is_open = |chapter: &&Chapter| Stand::of(&progress, &chapter.number.to_string()) != Stand::Done;
    let open: Vec<&Chapter> = all.iter().filter(|chapter| chapter.number <= last.number).filter(is_open).collect();
    if open.is_empty() {
        output::print(format_args!("{} done already\n{}", up_to(last), go_on(all, last)))?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        !data_dir::is_locked(&config.data_dir),
        "a shop is open on {}: close it in terminal 1 first (Ctrl-C); this opens and closes it as the chapters need it",
        config.data_dir.display()
    );
    let emptying: Vec<String> =
        open.iter().filter(|chapter| chapter.empties_shop()).map(|chapter| chapter.number.to_string()).collect();
    ensure!(
        emptying.is_empty() || yes,
        "chapter {} empties the shop with `make reset`: every order and change of {} would be gone. Add --yes if that is meant",
        emptying.join(" and chapter "),
        config.data_dir.display()
    );
    super::super::block_on(async {
        let signals = StopSignals::listen(Second::IsIgnored)?;
        let mut shell = Shell::new(config, &std::env::current_dir().context("the current folder")?)?;
        let solved = signals.unless_requested(Solving { config, all, shell: &mut shell, shop: None }.chapters(last, &open)).await;
        if matches!(solved, Ok(None)) {
            output::line("stopped; closing what it opened")?;
        }
        let ended = shell.end_all().await;
        match solved {
            Ok(Some(())) => ended.and_then(|()| Ok(output::print(format_args!("{} done\n{}", up_to(last), go_on(all, last)))?)),
            Ok(None) => return Ok(ExitCode::from(INTERRUPTED)),
            Err(error) => Err(error),
        }?;
        Ok(ExitCode::SUCCESS)
    })
}

fn up_to(last: &Chapter) -> String {
    if last.number == 0 { "chapter 0 is".to_owned() } else { format!("chapters 0 to {} are", last.number) }
}

/// Where the learner stands now.
fn go_on(all: &[Chapter], last: &Chapter) -> String {
    let Some(next) = all.iter().find(|chapter| chapter.number == last.number + 1) else {
        return "that was the last chapter; left are exercises: `kartshoppe workshop status`\n".to_owned();
    };
    let Chapter { number, title, .. } = next;
    let terminal_1 = match shop_after(all, last.number) {
        Some(shop) if !next.begins_closed() => shop.command,
        Some(_) | None => "nothing yet; the chapter says how the shop is opened".to_owned(),
    };
    format!(
        "\ngo on with {number} · {title}, in docs/workshop/{}\n    terminal 1: {terminal_1}\n    terminal 2: kartshoppe workshop open {number}\n",
        next.file()
    )
}

/// What the chapters share.
struct Solving<'a> {
    config: &'a Config,
    all: &'a [Chapter],
    shell: &'a mut Shell,
    /// The shop that is open.
    shop: Option<Opening>,
}

impl Solving<'_> {
    async fn chapters(mut self, last: &Chapter, open: &[&Chapter]) -> anyhow::Result<()> {
        let place = self.config.data_dir.display();
        output::print(format_args!(
            "the chapters that are not done, with the steps of the guide, in the shop of {place}\n\
             Ctrl-C stops and closes it; the chapters that are done stay done\n\n"
        ))?;
        self.kafka_can_run(open).await?;
        let width = self.all.iter().map(|chapter| chapter.title.chars().count()).max().unwrap_or(0);
        for chapter in self.all.iter().take_while(|chapter| chapter.number <= last.number) {
            output::print(format_args!("{:>4} · {:<width$}  ", chapter.number, chapter.title))?;
            if !open.iter().any(|open| open.number == chapter.number) {
                output::line("done before")?;
                continue;
            }
            match self.chapter(chapter).await {
                Ok(done) => output::line(done)?,
                Err(error) => {
                    output::line("FAILED")?;
                    let (number, last) = (chapter.number, last.number);
                    bail!(
                        "chapter {number}, {error:#}\n\
                         after that is mended, `kartshoppe workshop solve {last}` goes on with {number}: the chapters before it stay done. \
                         Messages of the program, and what to do: docs/workshop/troubleshooting.md"
                    );
                }
            }
        }
        Ok(())
    }

    /// Twelve chapters take minutes: that the thirteenth cannot run is said before.
    async fn kafka_can_run(&mut self, open: &[&Chapter]) -> anyhow::Result<()> {
        let Some(first) = open.iter().find(|chapter| !chapter.facts.needs.is_empty()) else { return Ok(()) };
        let number = first.number;
        let lacks = || {
            format!("chapter {number} needs what this machine lacks; `kartshoppe workshop solve {}` goes without it", number - 1)
        };
        self.shell.run("tools/doctor.sh kafka").await.with_context(lacks)
    }

    /// Does a chapter; returns what was done.
    async fn chapter(&mut self, chapter: &Chapter) -> anyhow::Result<String> {
        let since = Instant::now();
        self.open_before(chapter).await?;
        if self.is_so(chapter).await? && check::check(self.config, chapter, Duration::ZERO).await?.done {
            return Ok("holds already".to_owned());
        }
        let place = chapter.number.to_string();
        if Stand::of(&Progress::load(&self.config.data_dir)?, &place) == Stand::New {
            begin(self.config, chapter).await?;
        }
        self.shop = None;
        self.shell.chapter(chapter).await?;
        self.shop = shop_after(self.all, chapter.number);
        let report = check::check(self.config, chapter, GREEN_WAIT).await?;
        let unmade = unmade(&report)?;
        if !report.done {
            let now = moment(log(self.config).await.ok().as_ref()).await;
            workshop::update(&self.config.data_dir, |progress| progress.checked(&place, progress.passed(&place), true, now))?;
        }
        let (steps, checks, took) = (chapter.steps().count(), report.passed().len(), since.elapsed());
        Ok(format!(
            "{}, {}, {:.1} s{unmade}",
            output::counted(steps, "step"),
            output::counted(checks, "check"),
            took.as_secs_f64()
        ))
    }

    /// Opens the shop as the chapters before have left it.
    async fn open_before(&mut self, chapter: &Chapter) -> anyhow::Result<()> {
        let before = chapter.number.checked_sub(1).and_then(|before| shop_after(self.all, before));
        if self.shop == before {
            return Ok(());
        }
        self.shop = None;
        self.shell.end_all().await?;
        if let Some(shop) = before.filter(|_| !chapter.begins_closed()) {
            self.shell.open(&shop).await?;
            self.shop = Some(shop);
        }
        Ok(())
    }

    /// Whether a learner has done it and not said so.
    async fn is_so(&self, chapter: &Chapter) -> anyhow::Result<bool> {
        let judge = check::judge(self.config, chapter).await?;
        for check in chapter.checks() {
            if judge.check(check).await.state != State::Green {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The checks of pages that could not be made, for people.
///
/// # Errors
/// Another check that is not green.
fn unmade(report: &Report) -> anyhow::Result<String> {
    let mut text = String::new();
    for check in report.checks.iter().filter(|check| check.state != State::Green) {
        let (name, detail) = (&check.name, check.detail.as_deref().unwrap_or_default());
        if check.state != State::Unchecked || check.kind != "page" {
            bail!("check “{name}”: {} (seen: {detail})", check.missing.as_deref().unwrap_or("not checked"));
        }
        let _ = write!(text, "; not checked: {name} ({detail})");
    }
    Ok(text)
}
