//! A narrow view of a JSON schema: what a key accepts, in which order keys were declared, what their
//! doc comments say.
//!
//! The schema comes from `schemars` and so from the recipe's own structs; there is no second list of
//! keys to keep in step. Only what a configuration needs is understood: structs, tagged enums, enums
//! of words, numbers, strings, booleans and arrays.

use serde_json::Value;
use toml::Table;

/// What a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, or one of [`Schema::words`].
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list; [`Schema::items`] says of what.
    Array,
    /// A table; [`Schema::properties`] are its keys.
    Table,
    /// Not described: anything goes.
    Any,
}

/// One node of a schema, with the root that its references point into.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    root: &'a Value,
    node: &'a Value,
}

impl<'a> Schema<'a> {
    /// The view of a whole schema.
    pub fn new(root: &'a Value) -> Self {
        Self { root, node: root }
    }

    fn at(self, node: &'a Value) -> Self {
        Self { node, ..self }
    }

    /// The node and everything it refers to, the node itself first.
    fn parts(self) -> Vec<Self> {
        let target = self
            .node
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        let mut parts = vec![self];
        parts.extend(target.into_iter().flat_map(|node| self.at(node).parts()));
        parts
    }

    /// The first value of `keyword` among the node and what it refers to.
    fn keyword(self, keyword: &str) -> Option<&'a Value> {
        self.parts()
            .into_iter()
            .find_map(|part| part.node.get(keyword))
    }

    /// The doc comment of the key, or of its type.
    pub fn description(self) -> Option<&'a str> {
        self.keyword("description")?.as_str()
    }

    /// The type of the key.
    pub fn kind(self) -> Kind {
        if self.tag().is_some() {
            return Kind::Table;
        }
        if !self.words().is_empty() {
            return Kind::String;
        }
        match self.keyword("type").and_then(Value::as_str) {
            Some("string") => Kind::String,
            Some("integer") => Kind::Integer,
            Some("number") => Kind::Number,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::Array,
            Some("object") => Kind::Table,
            _ => Kind::Any,
        }
    }

    /// Whether the key is held in single precision.
    pub fn is_single_precision(self) -> bool {
        self.keyword("format").and_then(Value::as_str) == Some("float")
    }

    /// Smallest and largest number the key accepts, where the schema limits them.
    pub fn range(self) -> (Option<f64>, Option<f64>) {
        let limit = |keyword| self.keyword(keyword).and_then(Value::as_f64);
        (limit("minimum"), limit("maximum"))
    }

    /// What the elements of an array are.
    pub fn items(self) -> Option<Self> {
        self.keyword("items").map(|node| self.at(node))
    }

    /// The words that an enum of unit variants accepts; empty for anything else.
    pub fn words(self) -> Vec<&'a str> {
        let of = |node: &'a Value| -> Vec<&'a str> {
            let constant = node.get("const").into_iter();
            let several = node
                .get("enum")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            constant.chain(several).filter_map(Value::as_str).collect()
        };
        self.parts()
            .into_iter()
            .flat_map(|part| {
                let mut words = of(part.node);
                words.extend(part.own_alternatives().into_iter().flat_map(of));
                words
            })
            .collect()
    }

    fn own_alternatives(self) -> Vec<&'a Value> {
        let of = |keyword| {
            self.node
                .get(keyword)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        of("oneOf").chain(of("anyOf")).collect()
    }

    fn alternatives(self) -> Vec<Self> {
        self.parts()
            .into_iter()
            .flat_map(|part| {
                part.own_alternatives()
                    .into_iter()
                    .map(move |node| part.at(node))
            })
            .collect()
    }

    /// The key that tells the variants of an internally tagged enum apart, and the name of each variant.
    pub fn tag(self) -> Option<(&'a str, Vec<&'a str>)> {
        let alternatives = self.alternatives();
        let (name, _) = alternatives
            .first()?
            .node
            .get("properties")?
            .as_object()?
            .iter()
            .find(|(_, p)| p.get("const").is_some())?;
        let variants = alternatives
            .iter()
            .map(|variant| variant.constant(name))
            .collect::<Option<Vec<_>>>()?;
        Some((name.as_str(), variants))
    }

    fn constant(self, property: &str) -> Option<&'a str> {
        self.node
            .get("properties")?
            .get(property)?
            .get("const")?
            .as_str()
    }

    /// The keys of a table in the order of their declaration. Those of a tagged enum depend on the
    /// variant that `table` names.
    pub fn properties(self, table: &Table) -> Vec<(&'a str, Self)> {
        let mut properties = match self.tag() {
            None => Vec::new(),
            Some((tag, _)) => {
                let chosen = table.get(tag).and_then(toml::Value::as_str);
                let variants = self.alternatives();
                let variant = variants
                    .into_iter()
                    .find(|variant| variant.constant(tag) == chosen);
                // A table without a valid tag still has the tag itself.
                let variant = variant.or_else(|| {
                    self.alternatives()
                        .into_iter()
                        .next()
                        .filter(|_| chosen.is_none())
                });
                let mut own = variant
                    .map(|variant| variant.properties(table))
                    .unwrap_or_default();
                own.sort_by_key(|(name, _)| *name != tag);
                own
            }
        };
        for part in self.parts() {
            properties.extend(part.own_properties());
        }
        properties
    }

    /// `properties` of this node alone. A JSON object has no order, but `required` is a list, and
    /// every key of a configuration is required.
    fn own_properties(self) -> Vec<(&'a str, Self)> {
        let required: Vec<&str> = self
            .node
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let rank = |name: &str| {
            required
                .iter()
                .position(|other| *other == name)
                .unwrap_or(usize::MAX)
        };
        let mut properties: Vec<_> = self
            .node
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, node)| (name.as_str(), self.at(node)))
            .collect();
        properties.sort_by_key(|(name, _)| rank(name));
        properties
    }

    /// The schema of one key of `table`.
    pub fn property(self, table: &Table, name: &str) -> Option<Self> {
        self.properties(table)
            .into_iter()
            .find(|(other, _)| *other == name)
            .map(|(_, schema)| schema)
    }
}
