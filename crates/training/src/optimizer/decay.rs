//! Which parameters weight decay pulls towards zero.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The path of every parameter that weight decay leaves alone: biases, the gain and shift of norms,
/// and whatever is looked up or added rather than multiplied with (embeddings, positions, `[CLS]`
/// tokens). What is left decays: each `weight` of two or more axes that belongs to no `Embedding`.
///
/// Loshchilov and Hutter 2019 decay everything; BERT, ViT and GPT-2 leave these out. Paths and not ids,
/// because a loaded checkpoint brings ids of its own.
pub fn undecayed<M: Module>(model: &M) -> Vec<String> {
    let mut visitor = Undecayed::default();
    model.visit(&mut visitor);
    visitor.found
}

/// The fields on the way to a parameter, each with the type it is a field of.
#[derive(Default)]
struct Undecayed {
    way: Vec<(String, String)>,
    found: Vec<String>,
}

impl ModuleVisitor for Undecayed {
    fn enter_module(&mut self, name: &str, container: &str) {
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
        if !(weight && D > 1) {
            let path: Vec<&str> = self.way.iter().map(|(field, _)| field.as_str()).collect();
            self.found.push(path.join("."));
        }
    }
}
