//! What the optimizer does with each parameter: whether it decays, and how fast it learns.

use crate::Error;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::tensor::Tensor;

/// A parameter as the optimizer sees it. By path and not by id: a loaded checkpoint brings its own ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its place in the model: `encoder.vision.class_token`.
    pub path: String,
    /// Whether weight decay pulls it towards zero. It does each `weight` of two or more axes that belongs
    /// to no `Embedding`, and neither biases, the gain and shift of norms, nor what is looked up or added
    /// (embeddings, positions, `[CLS]` tokens). Loshchilov and Hutter 2019 decay everything; BERT, ViT and
    /// GPT-2 leave these out.
    pub decays: bool,
    /// Its learning rate over that of the last layer.
    pub scale: f64,
}

/// All parameters of a model, in its order.
///
/// Each layer learns `layer_decay` times as fast as the one above it (Clark et al. 2020, ELECTRA; Bao et
/// al. 2022, BEiT): in a stack of n, layer i (from 0) by `layer_decay^(n - i)`, what lies before the stack
/// by `layer_decay^(n + 1)`, and what lies after it, such as a head, by 1. A stack is a list called `blocks`
/// or `layers`; one within a field called `fusion` lies above all that come before it.
pub fn parameters<M: Module>(model: &M, layer_decay: f64) -> Vec<Parameter> {
    let mut visitor = Visitor::default();
    model.visit(&mut visitor);
    let Visitor { found, stacks, .. } = visitor;
    found
        .iter()
        .enumerate()
        .map(|(place, (path, decays))| Parameter {
            path: path.join("."),
            decays: *decays,
            scale: layer_decay.powi(distance(place, path, &stacks)),
        })
        .collect()
}

/// The parameters whose path begins with one of `parts`, as a group.
///
/// # Errors
///
/// [`Error::UnknownName`] for a part that the model does not have.
pub(crate) fn group<M: Module>(model: &M, parts: &[String]) -> Result<ParamGroup, Error> {
    let paths = parameters(model, 1.0)
        .into_iter()
        .map(|parameter| parameter.path);
    let paths: Vec<String> = paths.collect();
    for part in parts {
        let inside = |path: &String| {
            let rest = path.strip_prefix(part.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if !paths.iter().any(inside) {
            let mut valid: Vec<String> = paths.iter().flat_map(|path| beginnings(path)).collect();
            valid.sort();
            valid.dedup();
            let valid = valid.iter().map(String::as_str);
            return Err(Error::unknown("part of the model", part, valid));
        }
    }
    let pattern = |part: &String| format!(r"^{}(\.|$)", part.replace('.', r"\."));
    ParamGroup::from_any_regexes(parts.iter().map(pattern).collect())
        .map_err(|error| Error::Usage(format!("`freeze`: {error:?}")))
}

/// The first two beginnings of a path: `a` and `a.b` of `a.b.c`.
fn beginnings(path: &str) -> Vec<String> {
    let ends = path.match_indices('.').map(|(end, _)| end).take(2);
    ends.map(|end| path[..end].to_owned()).collect()
}

/// A list of modules, one upon the other: its path, its length, and the places of its parameters.
#[derive(Debug)]
struct Stack {
    path: Vec<String>,
    layers: usize,
    first: usize,
    end: usize,
}

/// How many layers lie above the parameter at `place`, itself included.
fn distance(place: usize, path: &[String], stacks: &[Stack]) -> i32 {
    let shared = |stack: &Stack| {
        let pairs = stack.path.iter().zip(path);
        pairs.take_while(|(a, b)| a == b).count()
    };
    // The stack it belongs to, or else the nearest.
    let Some(stack) = stacks.iter().max_by_key(|stack| shared(stack)) else {
        return 0;
    };
    let distance = match place {
        place if place < stack.first => stack.layers + 1,
        place if place >= stack.end => 0,
        _ => {
            let layer = path
                .get(stack.path.len())
                .and_then(|index| index.parse().ok());
            stack.layers - layer.unwrap_or(0)
        }
    };
    let fuses = |stack: &&Stack| stack.path.iter().any(|field| field == "fusion");
    let above = stacks.iter().filter(fuses);
    let above = above.filter(|fusion| fusion.first > stack.first && fusion.first > place);
    (distance + above.map(|fusion| fusion.layers).sum::<usize>()) as i32
}

#[derive(Default)]
struct Visitor {
    /// The fields on the way, each with the type it is a field of.
    way: Vec<(String, String)>,
    /// Path of each parameter, and whether it decays.
    found: Vec<(Vec<String>, bool)>,
    stacks: Vec<Stack>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        let path = || self.way.iter().map(|(field, _)| field.clone()).collect();
        // A list within a list is part of the outer one's layer.
        let outermost = !self.is_in_stack();
        let called = |name: &str| self.way.last().is_some_and(|(field, _)| field == name);
        if container == "Vec" && outermost && (called("blocks") || called("layers")) {
            let place = self.found.len();
            match self.stacks.last_mut() {
                Some(stack) if name != "0" => stack.layers += 1,
                _ => self.stacks.push(Stack {
                    path: path(),
                    layers: 1,
                    first: place,
                    end: place,
                }),
            }
        }
        self.way.push((name.to_owned(), container.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.way.pop();
    }

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        let weight = self
            .way
            .last()
            .is_some_and(|(field, owner)| field == "weight" && owner != "Struct:Embedding");
        let path = self.way.iter().map(|(field, _)| field.clone()).collect();
        self.found.push((path, weight && D > 1));
        let end = self.found.len();
        if let (true, Some(stack)) = (self.is_in_stack(), self.stacks.last_mut()) {
            stack.end = end;
        }
    }
}

impl Visitor {
    /// Whether the way leads through an entry of the last stack.
    fn is_in_stack(&self) -> bool {
        self.stacks.last().is_some_and(|stack| {
            let fields = self.way.iter().map(|(field, _)| field);
            self.way.len() > stack.path.len() && stack.path.iter().eq(fields.take(stack.path.len()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Classifier;
    use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Tower {
        words: Embedding,
        token: Option<Param<Tensor<3>>>,
        blocks: Vec<Classifier>,
        last: Linear,
    }

    #[derive(Module, Debug)]
    struct Model {
        first: Tower,
        second: Tower,
        head: Linear,
    }

    fn model() -> Model {
        let device = Device::flex();
        let tower = |layers| Tower {
            words: EmbeddingConfig::new(3, 2).init(&device),
            token: Some(Initializer::Zeros.init([1, 1, 2], &device)),
            blocks: (0..layers).map(|_| Classifier::new(&device)).collect(),
            last: LinearConfig::new(2, 2).with_bias(false).init(&device),
        };
        Model {
            first: tower(2),
            second: tower(1),
            head: LinearConfig::new(2, 2).init(&device),
        }
    }

    fn find(path: &str) -> Parameter {
        let found = parameters(&model(), 0.5).into_iter();
        let mut found = found.filter(|parameter| parameter.path == path);
        let parameter = found.next().unwrap_or_else(|| panic!("no {path}"));
        assert_eq!(found.next(), None);
        parameter
    }

    /// The real models are in the integration tests: this crate knows none.
    #[test]
    fn what_is_multiplied_with_decays_and_the_rest_does_not() {
        for (path, decays) in [
            ("first.words.weight", false),
            ("first.token", false),
            ("first.blocks.0.hidden.weight", true),
            ("first.blocks.0.hidden.bias", false),
            ("first.blocks.0.norm.gamma", false),
            ("first.blocks.0.norm.beta", false),
            ("head.weight", true),
            ("head.bias", false),
        ] {
            assert_eq!(find(path).decays, decays, "{path}");
        }
    }

    #[test]
    fn lower_layers_learn_more_slowly_in_each_tower() {
        for (path, scale) in [
            ("first.words.weight", 0.125),
            ("first.token", 0.125),
            ("first.blocks.0.head.bias", 0.25),
            ("first.blocks.1.hidden.weight", 0.5),
            ("first.last.weight", 1.0),
            ("second.words.weight", 0.25),
            ("second.blocks.0.norm.gamma", 0.5),
            ("second.last.weight", 1.0),
            ("head.weight", 1.0),
        ] {
            assert_eq!(find(path).scale, scale, "{path}");
        }
        let flat = parameters(&model(), 1.0);
        assert!(flat.iter().all(|parameter| parameter.scale == 1.0));
        assert_eq!(parameters(&model().head, 0.5)[0].scale, 1.0);
    }

    #[test]
    fn a_part_that_the_model_does_not_have_is_refused_with_the_nearest() {
        let group = |part: &str| group(&model(), &[part.to_owned()]);
        let id = burn::module::ParamId::new();
        let first = group("first").unwrap();
        assert!(first.matches(&id, Some("first.words.weight")));
        assert!(!first.matches(&id, Some("second.words.weight")));
        assert!(
            !group("first.last")
                .unwrap()
                .matches(&id, Some("first.words.weight"))
        );
        let error = group("first.block").unwrap_err();
        assert!(
            error.to_string().contains("did you mean `first.blocks`"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }
}
