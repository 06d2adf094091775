//! What an audit finds.

use std::fmt;

use crate::instruction::{ChatError, Conversation, Mismatch};
use crate::{DataError, ImageSource, Place, Split};

/// Which conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Its id.
    pub id: String,
    /// The record of its file, as far as it is known.
    pub place: Option<Place>,
}

impl At {
    pub(super) fn of(conversation: &Conversation) -> Self {
        let place = |image: &ImageSource| match image {
            ImageSource::Listed { named_by, .. } => named_by.clone(),
            _ => None,
        };
        // What was made of captions or questions has the record of its picture.
        let of_image = || conversation.images.first().and_then(place);
        Self {
            id: conversation.id.clone(),
            place: conversation.place.clone().or_else(of_image),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.id),
            None => f.write_str(&self.id),
        }
    }
}

/// Something that would spoil a training, or make its figures worth less. Turns are counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A conversation that teaches nothing.
    #[error("{at}: no token of it is supervised; give it an answer, or correct the chat template")]
    Unsupervised {
        /// Which one.
        at: At,
    },
    /// A split that teaches nothing: its loss would be 0 from the first step.
    #[error(
        "no token of the {split} split is supervised: the loss would be 0; \
         check that the answers are the assistant's, and the chat template"
    )]
    AllUnsupervised {
        /// Which one.
        split: Split,
    },
    /// Image tokens and features of a picture are not equally many.
    #[error(
        "a picture takes {tokens} image tokens, but the model makes {features} features of it; \
         set one to the other"
    )]
    Features {
        /// Image tokens of a picture.
        tokens: usize,
        /// What the connector gives.
        features: usize,
    },
    /// Marks and pictures of a conversation, or image tokens and features, are not equally many.
    #[error("{at}: {error}")]
    Pictures {
        /// Which one.
        at: At,
        /// How many there are.
        error: ChatError,
    },
    /// A picture that is missing or damaged.
    #[error("{at}: {error}")]
    Image {
        /// The first conversation that shows it.
        at: At,
        /// What is wrong with it.
        error: DataError,
    },
    /// A conversation whose answer would be cut.
    #[error("{at}: {error}")]
    Truncated {
        /// Which one.
        at: At,
        /// How many tokens are needed.
        error: ChatError,
    },
    /// An answer of nothing but white space.
    #[error("{at}: the answer in turn {turn} is nothing but white space; fill it in, or remove it")]
    BlankAnswer {
        /// Which one.
        at: At,
        /// The turn.
        turn: usize,
    },
    /// A turn that the template leaves out.
    #[error("{at}: {error}")]
    Dropped {
        /// Which one.
        at: At,
        /// The turn.
        error: ChatError,
    },
    /// A conversation that cannot be rendered for another reason.
    #[error("{at}: {error}")]
    Unrenderable {
        /// Which one.
        at: At,
        /// Why.
        error: ChatError,
    },
    /// The tokens differ from those of the whole text. What is learnt is what is answered to, so a training goes on.
    #[error(
        "{at}: token {} is {:?}, but {:?} where the whole text is encoded at once: a token would reach from a prompt into \
         its answer; other programs may give this model other tokens",
        mismatch.at, mismatch.here, mismatch.whole
    )]
    Tokenization {
        /// Which one.
        at: At,
        /// Where.
        mismatch: Mismatch,
    },
    /// The same text with the same pictures in two splits.
    #[error(
        "{at} of the {split} split is the same as {of} of the {of_split} split, text and pictures; \
         remove one of them"
    )]
    Duplicate {
        /// Which one.
        at: At,
        /// Its split.
        split: Split,
        /// The other.
        of: At,
        /// The other's split.
        of_split: Split,
    },
}

impl Problem {
    /// From what keeps a conversation from being rendered.
    pub(super) fn rendering(at: At, error: ChatError) -> Self {
        match &error {
            ChatError::TooLong { .. } => Self::Truncated { at, error },
            ChatError::Dropped { .. } => Self::Dropped { at, error },
            ChatError::Marks { .. } | ChatError::ImageTokens { .. } | ChatError::NoImageToken => {
                Self::Pictures { at, error }
            }
            _ => Self::Unrenderable { at, error },
        }
    }

    /// What kind of problem it is, in a few words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unsupervised { .. } => "nothing supervised",
            Self::AllUnsupervised { .. } => "nothing supervised in a split",
            Self::Features { .. } => "image tokens and features out of step",
            Self::Pictures { .. } => "marks and pictures out of step",
            Self::Image { .. } => "missing or damaged pictures",
            Self::Truncated { .. } => "answers that would be cut",
            Self::BlankAnswer { .. } => "blank answers",
            Self::Dropped { .. } => "turns that the template leaves out",
            Self::Unrenderable { .. } => "conversations that cannot be rendered",
            Self::Tokenization { .. } => "tokens other than the whole text's",
            Self::Duplicate { .. } => "duplicates across splits",
        }
    }

    /// Whether a training must not start.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Tokenization { .. })
    }
}
