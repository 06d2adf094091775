//! PyTorch's own files.

use crucible_weights::Error;
use crucible_weights::files::Tensors;

use crate::{assert_expected, fixture, refusal};

#[test]
fn pytorch_views_are_read_in_row_major_order() {
    let tensors = Tensors::open(&fixture("pytorch_model.bin")).unwrap();
    assert_expected(&tensors, "pytorch_model.bin", &[]);
    let [base, transposed] = ["base", "transposed"].map(|name| tensors.read(name).unwrap());
    assert_eq!(transposed[1], base[5]);
}

#[test]
fn a_state_dict_may_lie_in_what_a_training_script_saves() {
    for name in ["wrapped.pt", "nested.pt"] {
        let tensors = Tensors::open(&fixture(name)).unwrap();
        assert_expected(&tensors, name, &[]);
    }
}

#[test]
fn a_pickle_runs_nothing() {
    let error = Tensors::open(&fixture("evil.bin")).unwrap_err();
    let Error::Global { global, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(global, "posix.system");
    assert!(
        error.to_string().contains("convert it to safetensors"),
        "{error}"
    );
}

#[test]
fn what_pytorch_can_load_and_we_do_not_is_told() {
    for (name, reason) in [
        ("legacy.bin", "since PyTorch 1.6"),
        ("script.pt", "TorchScript"),
        ("empty.bin", "no dict of tensors, but `lonely`"),
        ("expanded.bin", "`weight`: repeats values of its storage"),
        ("compressed.pt", "is compressed"),
    ] {
        let message = refusal(&fixture(name));
        assert!(message.contains(reason), "{message}");
    }
}
