//! Which tensor of ours is which of a published checkpoint.

use std::collections::{BTreeMap, BTreeSet};

/// How the two hold the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In the same order; axes of length one may come and go.
    Same,
    /// In the same order, with that many axes: the first ones, where they have length one, come and go.
    Axes(usize),
    /// A matrix `[out, in]` there is `[in, out]` here.
    Transposed,
    /// The kernel of a convolution over patches, `[out, channels, size, size]` there, is a matrix here whose rows are in
    /// the order `(y, x, channel)`.
    Patches {
        /// Channels of the images.
        channels: usize,
        /// Height and width of a patch.
        size: usize,
    },
}

/// The part of a tensor of theirs that is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The axis of theirs that is cut.
    pub axis: usize,
    /// Which part, from 0.
    pub index: usize,
    /// How many equal parts there are.
    pub of: usize,
}

/// One tensor of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name there.
    pub theirs: String,
    /// How it is held there.
    pub form: Form,
    /// Where it is only a part there.
    pub part: Option<Part>,
}

/// All tensors of a model, by their paths in it. One of theirs may stand at several places of ours.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: BTreeMap<String, Rule>,
    absent: BTreeSet<String>,
    ignored: Vec<&'static str>,
    loose: &'static str,
}

impl Rules {
    /// For checkpoints in which names may begin with `loose` or do without: a model by itself lacks what it is called by
    /// beside a head.
    pub fn with_loose(loose: &'static str) -> Self {
        Self {
            loose,
            ..Self::default()
        }
    }

    /// The names that a tensor of theirs may have, the likeliest first.
    pub fn names(&self, theirs: &str) -> [String; 2] {
        let other = match theirs.strip_prefix(self.loose) {
            Some(bare) => bare.to_owned(),
            None => format!("{}{theirs}", self.loose),
        };
        [theirs.to_owned(), other]
    }

    /// The rule for the tensor at that path.
    pub fn get(&self, ours: &str) -> Option<&Rule> {
        self.rules.get(ours)
    }

    /// Path and rule of each tensor, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Rule)> {
        self.rules.iter().map(|(ours, rule)| (ours.as_str(), rule))
    }

    /// Whether a tensor of theirs holds nothing that was learnt: buffers, or what is tied to another.
    pub fn ignores(&self, theirs: &str) -> bool {
        self.ignored.iter().any(|end| theirs.ends_with(end))
    }

    /// Tensors whose names end like that are left alone.
    pub fn ignore(&mut self, end: &'static str) {
        self.ignored.push(end);
    }

    /// Whether that tensor of ours has no counterpart there.
    pub fn lacks(&self, ours: &str) -> bool {
        self.absent.contains(ours)
    }

    /// A tensor of ours that has no counterpart there: it stays as it starts, and is not written.
    pub fn absent(&mut self, ours: impl Into<String>) {
        self.absent.insert(ours.into());
    }

    /// The rules of a model that has this one at a path of its own.
    #[must_use]
    pub fn within(self, path: &str) -> Self {
        let name = |ours: &String| format!("{path}.{ours}");
        let rules = self.rules.into_iter();
        Self {
            rules: rules.map(|(ours, rule)| (name(&ours), rule)).collect(),
            absent: self.absent.iter().map(name).collect(),
            ..self
        }
    }

    /// These and others: those of a model's parts make those of the model.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self.absent.extend(other.absent);
        self.ignored.extend(other.ignored);
        self
    }

    /// A tensor in that form.
    pub fn tensor(&mut self, ours: impl Into<String>, theirs: impl Into<String>, form: Form) {
        self.insert(ours.into(), theirs.into(), form, None);
    }

    /// A tensor held alike.
    pub fn same(&mut self, ours: impl Into<String>, theirs: impl Into<String>) {
        self.tensor(ours, theirs, Form::Same);
    }

    /// A linear layer as PyTorch's `nn.Linear` holds it: `weight` `[out, in]` and `bias`.
    pub fn linear(&mut self, ours: &str, theirs: &str) {
        self.layer(ours, theirs, Form::Transposed);
    }

    /// A linear layer as GPT-2's `Conv1D` holds it: `weight` `[in, out]` and `bias`.
    pub fn conv1d(&mut self, ours: &str, theirs: &str) {
        self.layer(ours, theirs, Form::Same);
    }

    /// The convolution over patches of images, its kernel and its `bias`.
    pub fn patches(&mut self, ours: &str, theirs: &str, channels: usize, size: usize) {
        self.layer(ours, theirs, Form::Patches { channels, size });
    }

    /// Several layers in one, the outputs of one after those of the other; `theirs` are the names of weight and bias.
    pub fn packed(&mut self, ours: &[String], theirs: [&str; 2], form: Form) {
        // The axis of the outputs.
        let axis = match form {
            Form::Same | Form::Axes(_) => 1,
            Form::Transposed | Form::Patches { .. } => 0,
        };
        for (index, layer) in ours.iter().enumerate() {
            let of = ours.len();
            let part = |axis| Some(Part { axis, index, of });
            let [weight, bias] = theirs.map(String::from);
            self.insert(format!("{layer}.weight"), weight, form, part(axis));
            self.insert(format!("{layer}.bias"), bias, Form::Same, part(0));
        }
    }

    /// A norm: `weight` and `bias` are scale and shift.
    pub fn norm(&mut self, ours: &str, theirs: &str) {
        self.same(format!("{ours}.gamma"), format!("{theirs}.weight"));
        self.same(format!("{ours}.beta"), format!("{theirs}.bias"));
    }

    fn layer(&mut self, ours: &str, theirs: &str, form: Form) {
        self.tensor(format!("{ours}.weight"), format!("{theirs}.weight"), form);
        self.same(format!("{ours}.bias"), format!("{theirs}.bias"));
    }

    fn insert(&mut self, ours: String, theirs: String, form: Form, part: Option<Part>) {
        let rule = Rule { theirs, form, part };
        self.rules.insert(ours, rule);
    }
}
