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
  /image FILE   shows a picture with what you say next
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

pub fn run(args: &Args) -> Result<ExitCode, Error> {
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
        match line.trim() {
            "" => {}
            "/exit" => break,
            "/again" => conversation.again(),
            said => {
                let result = match said.strip_prefix("/image ") {
                    Some(path) => conversation.show(Path::new(path.trim())),
                    None => conversation.say(said, &work),
                };
                // A conversation outlives a picture that is not there; a script should not.
                match result {
                    Err(error) if terminal => tell!("{error}"),
                    result => result?,
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
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
