//! `crucible data`

use crate::output::{self, count};
use crate::painted::{self, Chat};
use crucible_datasets::known::Task;
use crucible_datasets::{Description, Duplicates, Lengths, describe, entries};
use crucible_evaluation::table::{Align, text_table};
use crucible_training::Error;
use std::process::ExitCode;

/// List the datasets, or look through one: counts, duplicates, licence, samples, every problem found
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible data                   the datasets that are built in
  crucible data easy-vqa          one of them
  crucible data my/folder         your own, before a training trips over it
  crucible data llava.json --chat --weights smollm2.gguf
                                  conversations as that model would read them

A folder of your own is recognised by what is in it:
  train.jsonl   {\"image\": \"a.png\", \"question\": \"what is it?\", \"answer\": \"a cat\"} a line, or
                {\"image\": \"a.png\", \"caption\": \"a cat\"}, or conversations of Alpaca, ShareGPT, LLaVA or OpenAI
                (train.json does too); valid.jsonl and test.jsonl beside it, if there are any
  *.tar         WebDataset shards: 1.jpg and 1.txt, or 1.json with \"caption\", in a row;
                a range of them is also a path: 'train-{0000..0012}.tar'
  cat/, dog/    images by class, or train/ and test/ of those
  *.png, *.jpg  images by themselves, or train/ and test/ of those
  *.bin, *-ubyte.gz, train.txt    CIFAR-10, (Fashion-)MNIST, plain text

Exit code 2 when a problem was found.")]
pub struct Args {
    /// Dataset of the catalogue, or a file or folder
    #[arg(value_name = "NAME|PATH")]
    name: Option<String>,

    #[command(flatten)]
    chat: Chat,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    let Some(name) = &args.name else {
        match json {
            true => output::print_json(&entries())?,
            false => output::print(&catalogue())?,
        }
        return Ok(ExitCode::SUCCESS);
    };
    if args.chat.chat {
        painted::show(name, &args.chat, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let description = describe(name).map_err(Error::data)?;
    match json {
        true => output::print_json(&description)?,
        false => output::print(&text(&description))?,
    }
    if description.problem_count > 0 {
        let problems = match description.problem_count {
            1 => "1 problem".into(),
            several => format!("{} problems", count(several)),
        };
        return Err(Error::Usage(format!("{name} has {problems}")));
    }
    Ok(ExitCode::SUCCESS)
}

fn catalogue() -> String {
    let mut text = String::new();
    for entry in entries() {
        let (kind, licence) = (entry.kind.name(), entry.licence);
        text += &format!("{}: {kind}\n  {}\n  {licence}\n\n", entry.name, entry.about);
    }
    text + "Your own: `--data PATH`; `crucible data --help` shows the formats.\n"
}

fn text(description: &Description) -> String {
    let mut columns = vec![
        ("Split", Align::Left),
        ("Images", Align::Right),
        ("Items", Align::Right),
    ];
    let splits = description.splits.iter();
    let mut rows: Vec<Vec<String>> = splits
        .clone()
        .map(|split| {
            let name = split.split.name().to_string();
            vec![name, count(split.images), count(split.items)]
        })
        .collect();
    if splits.clone().any(|split| split.lengths.is_some()) {
        columns.push(("Words of a text: min, median, 95%, max", Align::Right));
        for (row, split) in rows.iter_mut().zip(splits) {
            row.push(split.lengths.as_ref().map_or(String::new(), lengths));
        }
    }
    let mut text = format!(
        "{}: {}\nlicence  {}\ndigest   {}\n",
        description.name,
        description.kind.name(),
        description.licence,
        description.digest
    );
    if description.words > 0 {
        text += &format!("words    {}\n", count(description.words));
    }
    if !description.labels.is_empty() {
        let labels = &description.labels;
        text += &format!("labels   {}: {}\n", count(labels.len()), shortened(labels));
    }
    if let Some(task) = Task::named(&description.name) {
        text += &format!("known    {}: {}\n", task.about, task.sentence());
    }
    text += &format!("\n{}", text_table(&columns, &rows));
    let duplicates: Vec<String> = description.duplicates.iter().map(in_train).collect();
    text += &section("Duplicates across splits", &duplicates);
    text += &section("Samples", &description.samples);
    if description.problem_count > description.problems.len() {
        let (shown, all) = (description.problems.len(), description.problem_count);
        let title = format!("Problems (the first {} of {})", count(shown), count(all));
        return text + &section(&title, &description.problems);
    }
    text + &section("Problems", &description.problems)
}

fn lengths(lengths: &Lengths) -> String {
    let Lengths {
        min,
        median,
        p95,
        max,
    } = *lengths;
    [min, median, p95, max].map(count).join(", ")
}

/// What a split has in common with the training split, as far as it has such things.
fn in_train(duplicates: &Duplicates) -> String {
    let shares = [
        (&duplicates.images, "images"),
        (&duplicates.texts, "texts"),
        (&duplicates.pairs, "pairs"),
    ];
    let shares: Vec<String> = shares
        .into_iter()
        .filter(|(share, _)| share.of > 0)
        .map(|(share, what)| format!("{} of {} {what}", count(share.found), count(share.of)))
        .collect();
    let shares = shares.join(", ");
    format!("{}: {shares} are in train", duplicates.split)
}

fn section(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{lines}")
}

/// As many labels as fit a line or two.
fn shortened(labels: &[String]) -> String {
    const SHOWN: usize = 24;
    let mut text = labels[..labels.len().min(SHOWN)].join(", ");
    if labels.len() > SHOWN {
        text += ", ...";
    }
    text
}
