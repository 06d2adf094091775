//! `crucible chat`

use crate::output;
use crate::speaking::Speaking;
use crucible_datasets::ImageSource;
use crucible_datasets::instruction::{IMAGE, Role, Turn, typed};
use crucible_shared::instruction::{Answers, Asked};
use crucible_training::signals::Work;
use crucible_training::{Error, tell};
use crucible_transformer::{Finish, GenerationConfig};
use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Talk with a model
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crucible chat smollm2.gguf
  crucible chat runs/instruction-visual-quick-seed0 --image my.png
  echo \"What is the capital of France?\" | crucible chat smollm2.gguf

In the conversation:
  /image FILE   shows a picture with what you say next (a line that begins with a space is said, whatever it is)
  /again        starts a new conversation
  /exit         leaves, as does the end of the input; Ctrl-C ends an answer, and leaves between two")]
pub struct Args {
    #[command(flatten)]
    speaking: Speaking,

    /// Picture to begin with: PNG or JPEG
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// What holds for the whole conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
}

/// What has been said.
struct Conversation<'a> {
    model: &'a dyn Answers,
    config: GenerationConfig,
    system: Option<&'a str>,
    asked: Asked,
    /// Pictures that come with what is said next.
    shown: Vec<PathBuf>,
}

pub fn run(args: &Args, json: bool) -> Result<ExitCode, Error> {
    if json {
        return Err(Error::Usage(
            "a conversation is text; `crucible --json generate` answers in JSON".into(),
        ));
    }
    let config = args.speaking.generation()?;
    let model = args.speaking.open()?;
    let mut conversation = Conversation {
        model: model.as_ref(),
        config,
        system: args.system.as_deref(),
        asked: Asked::default(),
        shown: Vec::new(),
    };
    conversation.again();
    if let Some(image) = &args.image {
        conversation.show(image)?;
    }
    let work = Work::new()?;
    let terminal = io::stdin().is_terminal();
    for line in lines(terminal) {
        let line = line.map_err(|source| Error::Io {
            action: "read",
            path: "stdin".into(),
            source,
        })?;
        let result = match Line::of(&line) {
            Line::Empty => Ok(()),
            Line::Exit => break,
            Line::Again => {
                conversation.again();
                Ok(())
            }
            Line::Image(path) => conversation.show(path),
            Line::Said(text) => conversation.say(text, &work),
            Line::Unknown(command) => Err(Error::Usage(format!(
                "{command} is no command; there are /image FILE, /again and /exit, and what begins with a space is said"
            ))),
        };
        // A conversation outlives a picture that is not there; a script should not.
        match result {
            Err(error) if terminal => tell!("{error}"),
            result => result?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What somebody has typed.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Empty,
    Exit,
    Again,
    Image(&'a Path),
    Said(&'a str),
    /// What looks like a command.
    Unknown(&'a str),
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let text = line.trim();
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let is_command = |word: &str| word.chars().all(|letter| letter.is_ascii_alphabetic());
        // `/etc/hosts` is none.
        let command = line.strip_prefix('/').is_some() && first.get(1..).is_some_and(is_command);
        match (command, first, rest.trim()) {
            (_, "", _) => Self::Empty,
            (false, ..) => Self::Said(text),
            (true, "/exit", "") => Self::Exit,
            (true, "/again", "") => Self::Again,
            (true, "/image", path) if !path.is_empty() => Self::Image(Path::new(path)),
            (true, ..) => Self::Unknown(text),
        }
    }
}

/// What is typed, after a prompt where somebody sits at a terminal.
fn lines(terminal: bool) -> impl Iterator<Item = io::Result<String>> {
    let mut lines = io::stdin().lock().lines();
    std::iter::from_fn(move || {
        if terminal {
            eprint!("> ");
            let _ = io::stderr().flush();
        }
        lines.next()
    })
}

impl Conversation<'_> {
    /// A new conversation.
    fn again(&mut self) {
        let system = self.system.map(|text| Turn {
            role: Role::System,
            text: typed(text),
        });
        self.asked = Asked {
            turns: system.into_iter().collect(),
            images: Vec::new(),
        };
        self.shown.clear();
    }

    /// Shows a picture with what is said next.
    fn show(&mut self, path: &Path) -> Result<(), Error> {
        if !self.model.sees() {
            return Err(Error::Usage(
                "this model does not see; give a run of instruction-visual".into(),
            ));
        }
        ImageSource::File(path.to_owned())
            .decode()
            .map_err(Error::data)?;
        self.shown.push(path.to_owned());
        Ok(())
    }

    /// Says something and prints the answer as it comes.
    fn say(&mut self, text: &str, work: &Work) -> Result<(), Error> {
        let marks = format!("{IMAGE}\n").repeat(self.shown.len());
        let mut asked = self.asked.clone();
        asked.turns.push(Turn {
            role: Role::User,
            text: format!("{marks}{}", typed(text)),
        });
        asked
            .images
            .extend(self.shown.iter().cloned().map(ImageSource::File));
        let mut failed = None;
        let mut on_text = |_: usize, text: &str| {
            failed = output::print(text).err();
            match failed.is_some() || work.should_stop() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        work.start();
        let answers = self
            .model
            .answer(std::slice::from_ref(&asked), &self.config, &mut on_text);
        work.end();
        let answers = answers?;
        if let Some(error) = failed {
            return Err(error);
        }
        output::print("\n")?;
        for answer in answers {
            if answer.finish == Finish::Length {
                tell!("(cut at --max-new-tokens or at the longest conversation of the model)");
            }
            asked.turns.push(Turn {
                role: Role::Assistant,
                text: typed(&answer.text),
            });
        }
        self.asked = asked;
        self.shown.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_what_is_said() {
        for (line, expected) in [
            ("", Line::Empty),
            ("  ", Line::Empty),
            ("/exit ", Line::Exit),
            ("/again", Line::Again),
            (
                "/image  my picture.png",
                Line::Image(Path::new("my picture.png")),
            ),
            ("/image", Line::Unknown("/image")),
            ("/again now", Line::Unknown("/again now")),
            ("/imgae a.png", Line::Unknown("/imgae a.png")),
            ("/", Line::Unknown("/")),
            (" /help me", Line::Said("/help me")),
            ("/etc/hosts is what?", Line::Said("/etc/hosts is what?")),
            ("what is /exit?", Line::Said("what is /exit?")),
        ] {
            assert_eq!(Line::of(line), expected, "{line:?}");
        }
    }
}
