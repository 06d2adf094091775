//! Who may import whom, and who may name a backend: read from the manifests and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Crate -> the workspace crates it imports. A recipe may import every library, never another recipe.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernels", &[]),
    ("objectives", &["kernels"]),
    ("transformer", &["kernels"]),
    ("vision", &["kernels", "transformer"]),
    ("fusion", &["transformer", "vision"]),
    ("prompt", &["fusion", "transformer", "vision"]),
    ("weights", &["fusion", "transformer", "vision"]),
    ("evaluation", &[]),
    ("training", &["evaluation", "kernels"]),
    ("datasets", &[]),
    // What recipes of several stages have in common; no recipe itself.
    (
        "shared",
        &[
            "datasets",
            "evaluation",
            "fusion",
            "kernels",
            "objectives",
            "training",
            "transformer",
            "vision",
            "weights",
        ],
    ),
];

/// What the binary imports beside every recipe.
const BINARY: &[&str] = &[
    "datasets",
    "evaluation",
    "fusion",
    "kernels",
    "shared",
    "training",
    "transformer",
    "weights",
];

/// Features of Burn that compile a backend in, or choose one.
const BACKENDS: &[&str] = &[
    "accelerate",
    "blas-netlib",
    "cpu",
    "cubecl",
    "cuda",
    "default",
    "flex",
    "metal",
    "ndarray",
    "openblas",
    "remote",
    "rocm",
    "tch",
    "vulkan",
    "webgpu",
    "wgpu",
];

/// Ways to name a device in code.
const DEVICES: &[&str] = &[
    "Device::default()",
    "Device::flex",
    "Device::cpu",
    "Device::cuda",
    "Device::rocm",
    "Device::metal",
    "Device::vulkan",
    "Device::webgpu",
    "Device::wgpu",
    "Device::libtorch",
    "Device::ndarray",
    "Device::new",
    "DispatchDevice",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

fn folders(below: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(below)).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path());
    folders
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect()
}

/// Every library of the workspace by its short name, and which of them are recipes.
fn libraries() -> (BTreeMap<String, PathBuf>, BTreeSet<String>) {
    let name = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_string();
    let recipes = folders("recipes");
    let has_arrows = |name: &String| ARROWS.iter().any(|(other, _)| other == name);
    let recipe_names = recipes.iter().map(|folder| name(folder));
    let recipe_names = recipe_names.filter(|name| !has_arrows(name)).collect();
    let all = folders("crates")
        .into_iter()
        .chain(recipes)
        .chain([root().join("datasets")]);
    (
        all.map(|folder| (name(&folder), folder)).collect(),
        recipe_names,
    )
}

/// All tables of normal dependencies, those of single targets too, and of build dependencies.
fn dependencies(manifest: &Table) -> Vec<(&String, &Value)> {
    let table = |table: &'_ Table, key: &str| table.get(key).and_then(Value::as_table).cloned();
    assert!(
        table(manifest, "build-dependencies").is_none(),
        "build scripts slow every build down"
    );
    assert!(
        table(manifest, "target").is_none(),
        "one set of dependencies for all targets"
    );
    let dependencies = manifest.get("dependencies").and_then(Value::as_table);
    dependencies.into_iter().flatten().collect()
}

fn imports(manifest: &Table) -> BTreeSet<&str> {
    let names = dependencies(manifest)
        .into_iter()
        .map(|(name, _)| name.as_str());
    names
        .filter_map(|name| name.strip_prefix("crucible-"))
        .collect()
}

#[test]
fn the_arrows_are_those_of_the_design() {
    let (libraries, recipes) = libraries();
    let all: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, folder) in &libraries {
        let manifest = manifest(folder);
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(format!("crucible-{name}").as_str())
        );
        let found = imports(&manifest);
        match ARROWS.iter().find(|(other, _)| other == name) {
            Some((_, expected)) => assert_eq!(found, expected.iter().copied().collect(), "{name}"),
            None => {
                assert!(
                    recipes.contains(name),
                    "{name} has no arrows: add it to tests/arrows.rs"
                );
                assert!(
                    found.is_subset(&all),
                    "{name}: a recipe imports another: {found:?}"
                );
            }
        }
    }
    let expected: BTreeSet<&str> = BINARY
        .iter()
        .copied()
        .chain(recipes.iter().map(String::as_str))
        .collect();
    assert_eq!(imports(&manifest(root())), expected, "the binary");
}

#[test]
fn only_the_root_manifest_names_a_backend() {
    let (libraries, _) = libraries();
    for (name, folder) in &libraries {
        let manifest = manifest(folder);
        // Own code for a backend goes with it, and the root's feature of the backend turns it on.
        assert!(
            ["kernels", "weights"].contains(&name.as_str()) || !manifest.contains_key("features"),
            "{name}: backends are features of the root package"
        );
        for (dependency, value) in dependencies(&manifest) {
            // burn-pack is Burn's file format and knows no tensor of any backend.
            assert!(
                !dependency.starts_with("burn-") || dependency == "burn-pack",
                "{name} depends on {dependency} behind Burn's back"
            );
            let features = value
                .get("features")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for feature in features.filter_map(Value::as_str) {
                let names = dependency == "burn" && BACKENDS.contains(&feature);
                assert!(!names, "{name} turns on the backend `{feature}`");
            }
        }
    }
    let root = manifest(root());
    let burn = &root["workspace"]["dependencies"]["burn"];
    assert_eq!(burn["default-features"], Value::Boolean(false));
    assert_eq!(burn["features"], Value::Array(vec!["std".into()]));
}

#[test]
fn no_library_names_a_device() {
    let mut sources = Vec::new();
    for (name, folder) in &libraries().0 {
        // The one crate that knows backends.
        if name != "kernels" {
            library_sources(&folder.join("src"), &mut sources);
        }
    }
    assert!(sources.len() > 50, "where are the sources?");
    let named = |path: &Path| -> Vec<String> {
        let code = without_tests(&fs::read_to_string(path).unwrap());
        let devices = DEVICES.iter().filter(|device| code.contains(*device));
        devices
            .map(|device| format!("{}: {device}", path.display()))
            .collect()
    };
    let found: Vec<String> = sources.iter().flat_map(|path| named(path)).collect();
    assert!(found.is_empty(), "{found:#?}");

    // Within the binary it is one file.
    let mut binary = Vec::new();
    library_sources(&root().join("crates/cli"), &mut binary);
    binary.retain(|path| !named(path).is_empty());
    assert_eq!(binary, [root().join("crates/cli/devices.rs")]);
}

/// The files below `folder` that are compiled into the library itself.
fn library_sources(folder: &Path, sources: &mut Vec<PathBuf>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let tests: BTreeSet<String> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .flat_map(|path| test_modules(&fs::read_to_string(path).unwrap()))
        .collect();
    for path in paths {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        // `foo/tests.rs` is declared in `foo.rs`, one folder above: a test module is known by its name.
        if tests.contains(stem) || stem == "tests" {
            continue;
        }
        match path.is_dir() {
            true => library_sources(&path, sources),
            false => sources.push(path),
        }
    }
}

/// Names of the modules that `#[cfg(test)]` declares in files of their own.
fn test_modules(code: &str) -> Vec<String> {
    let after = code.split("#[cfg(test)]").skip(1);
    after
        .filter_map(|text| {
            let mut lines = text.lines().map(str::trim);
            let item = lines.find(|line| !line.is_empty() && !line.starts_with("#["))?;
            let item = item.strip_prefix("pub ").unwrap_or(item);
            Some(item.strip_prefix("mod ")?.strip_suffix(';')?.to_string())
        })
        .collect()
}

/// The code without comments and without the items behind `#[cfg(test)]`. It leans on rustfmt: an item
/// ends with the first line that closes it at its own indentation.
fn without_tests(code: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let close = format!("{indent}}}");
        lines.find(|line| {
            let own = line.len() - line.trim_start().len() == indent.len();
            *line == close
                || own && (line.ends_with(';') || line.ends_with("}") && line.contains('{'))
        });
    }
    kept.join("\n")
}

#[test]
fn test_code_is_told_from_library_code() {
    let code = "\
fn a() {}
// Device::default()
#[cfg(test)]
#[path = \"x.rs\"]
mod fixture;
#[cfg(test)]
mod tests {
    fn b() {
        Device::flex();
    }
}
fn c() { Device::cuda(0); }
";
    assert_eq!(
        without_tests(code),
        "fn a() {}\nfn c() { Device::cuda(0); }"
    );
    assert_eq!(test_modules(code), ["fixture"]);
}
