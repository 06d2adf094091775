//! Why conversations are thrown away.

use std::fmt;

use serde::Serialize;

/// Why a conversation is thrown away; the first reason that holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// Not an optional system turn, then user and assistant in turns up to an answer.
    Roles,
    /// A turn says nothing.
    EmptyTurn {
        /// Which one, counted from 0.
        turn: usize,
    },
    /// The marks of pictures in the questions are not as many as the pictures, or there are some outside of questions.
    ImageMarks {
        /// Marks in all turns.
        marks: usize,
        /// Pictures.
        pictures: usize,
    },
    /// A bracket or code fence is opened and not closed, as where a text was cut off.
    Unbalanced {
        /// Which mark.
        mark: &'static str,
    },
    /// Leftover marks of a chat template or prompt.
    Markup {
        /// What was found.
        found: String,
    },
    /// An answer says what its question says.
    Echo,
    /// An answer goes round in circles.
    Repetition {
        /// The part of its n-grams that were there before.
        share: f64,
    },
    /// A question is too short or too long.
    QuestionLength {
        /// How many words it has.
        words: usize,
    },
    /// An answer is too short or too long.
    AnswerLength {
        /// How many words it has.
        words: usize,
    },
    /// The questions or answers are in a language that is not kept.
    Language {
        /// Its ISO 639-3 code.
        found: String,
    },
    /// The same as an earlier conversation about the same pictures.
    Duplicate {
        /// The earlier one's id.
        of: String,
    },
    /// Nearly the same as an earlier conversation about the same pictures.
    NearDuplicate {
        /// The earlier one's id.
        of: String,
        /// The Jaccard similarity of the questions or of the answers, whichever is smaller.
        similarity: f64,
    },
}

impl Reason {
    /// All names, in the order in which reasons are looked for.
    pub const NAMES: [&'static str; 12] = [
        "roles",
        "empty-turn",
        "image-marks",
        "unbalanced",
        "markup",
        "echo",
        "repetition",
        "question-length",
        "answer-length",
        "language",
        "duplicate",
        "near-duplicate",
    ];

    /// What tables call it.
    pub fn name(&self) -> &'static str {
        let [
            roles,
            empty,
            marks,
            unbalanced,
            markup,
            echo,
            repetition,
            question,
            answer,
            language,
            duplicate,
            near,
        ] = Self::NAMES;
        match self {
            Self::Roles => roles,
            Self::EmptyTurn { .. } => empty,
            Self::ImageMarks { .. } => marks,
            Self::Unbalanced { .. } => unbalanced,
            Self::Markup { .. } => markup,
            Self::Echo => echo,
            Self::Repetition { .. } => repetition,
            Self::QuestionLength { .. } => question,
            Self::AnswerLength { .. } => answer,
            Self::Language { .. } => language,
            Self::Duplicate { .. } => duplicate,
            Self::NearDuplicate { .. } => near,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roles => f.write_str(
                "user and assistant do not take turns from a question to an answer, with a system turn only before them",
            ),
            Self::EmptyTurn { turn } => write!(f, "turn {turn} (counted from 0) says nothing"),
            Self::ImageMarks { marks, pictures } => write!(
                f,
                "{marks} image marks for {pictures} pictures; each picture needs one, in a question"
            ),
            Self::Unbalanced { mark } => write!(f, "`{mark}` is opened and not closed"),
            Self::Markup { found } => write!(f, "`{found}` is left over from a template"),
            Self::Echo => f.write_str("an answer repeats its question"),
            Self::Repetition { share } => write!(
                f,
                "an answer goes round in circles: {:.0}% of its n-grams were there before",
                100.0 * share
            ),
            Self::QuestionLength { words } => write!(f, "a question has {words} words"),
            Self::AnswerLength { words } => write!(f, "an answer has {words} words"),
            Self::Language { found } => write!(f, "written in `{found}`"),
            Self::Duplicate { of } => write!(f, "the same as {of}"),
            Self::NearDuplicate { of, similarity } => {
                write!(f, "nearly the same as {of} (similarity {similarity:.2})")
            }
        }
    }
}
