//! The interpreter.

use std::collections::HashMap;
use std::path::Path;

use super::{Global, View};
use crate::Error;
use crate::error::shown;
use crate::files::cursor::Cursor;

/// The most values that a pickle may build: a tensor takes about twenty.
const MAX_VALUES: usize = 1 << 19;

/// The longest tuple: arguments of a call, sizes of a tensor.
const MAX_PARTS: usize = 8;

/// Index of a value. Values live in one list, so that none is built twice and none is dropped by recursion.
pub(super) type Id = usize;

pub(super) enum Value<'a> {
    /// What no tensor depends on: numbers with a fraction, lists, `None`.
    Other,
    Integer(i64),
    Text(&'a str),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<View<'a>>),
    Tensor(Box<View<'a>>),
}

/// The machine that a pickle is a program for: a stack of values, marks in it, and values to come back to.
pub(super) struct Machine<'a, 'p> {
    path: &'p Path,
    values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a, 'p> Machine<'a, 'p> {
    pub fn new(path: &'p Path) -> Self {
        Self {
            path,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Runs a pickle to its end; tells the value that it is of.
    pub fn run(&mut self, pickle: &'a [u8]) -> Result<Id, Error> {
        let mut cursor = Cursor::new(pickle);
        loop {
            let opcode = cursor.u8().ok_or_else(|| self.cut_off())?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode, &mut cursor)?;
            if self.values.len() > MAX_VALUES || self.memo.len() > MAX_VALUES {
                let reason = format!("its pickle has more than {MAX_VALUES} values");
                let remedy = "save the model's state_dict() alone";
                return Err(Error::format(self.path, reason, remedy));
            }
        }
    }

    fn step(&mut self, opcode: u8, cursor: &mut Cursor<'a>) -> Result<(), Error> {
        match opcode {
            // PROTO
            0x80 => match cursor.u8() {
                Some(2) => Ok(()),
                _ => Err(self.damaged("is of another protocol than 2")),
            },
            b'N' | 0x88 | 0x89 | b']' => self.push(Value::Other), // NONE, NEWTRUE, NEWFALSE, EMPTY_LIST
            b'}' => self.push(Value::Dict(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            // BINFLOAT
            b'G' => {
                self.need(cursor.take(8))?;
                self.push(Value::Other)
            }
            // BININT, BININT1, BININT2, LONG1
            b'J' => {
                let bytes = self.need(cursor.array())?;
                self.push(Value::Integer(i32::from_le_bytes(bytes).into()))
            }
            b'K' => {
                let number = self.need(cursor.u8())?;
                self.push(Value::Integer(number.into()))
            }
            b'M' => {
                let number = self.need(cursor.u16())?;
                self.push(Value::Integer(number.into()))
            }
            0x8a => {
                let length = self.need(cursor.u8())?;
                let bytes = self.need(cursor.take(length.into()))?;
                self.push(long(bytes).map_or(Value::Other, Value::Integer))
            }
            // BINUNICODE
            b'X' => {
                let length = self.need(cursor.u32())?;
                let length = self.need(usize::try_from(length).ok())?;
                let bytes = self.need(cursor.take(length))?;
                let text = std::str::from_utf8(bytes);
                let text = text.map_err(|_| self.damaged("has a text that is not UTF-8"))?;
                self.push(Value::Text(text))
            }
            // TUPLE1, TUPLE2, TUPLE3, TUPLE
            0x85..=0x87 => {
                let start = self.stack.len().checked_sub(usize::from(opcode - 0x84));
                let parts = self.cut(start)?;
                self.push(Value::Tuple(parts))
            }
            b't' => {
                let parts = self.marked()?;
                self.push(Value::Tuple(parts))
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' => {
                let key = self.need(cursor.u8())?;
                self.put(key.into())
            }
            b'r' => {
                let key = self.need(cursor.u32())?;
                self.put(key)
            }
            b'h' => {
                let key = self.need(cursor.u8())?;
                self.recall(key.into())
            }
            b'j' => {
                let key = self.need(cursor.u32())?;
                self.recall(key)
            }
            // APPEND, APPENDS
            b'a' => {
                self.pop()?;
                self.list()
            }
            b'e' => {
                self.marked()?;
                self.list()
            }
            // SETITEM, SETITEMS
            b's' => {
                let start = self.stack.len().checked_sub(2);
                let items = self.cut(start)?;
                self.set(items)
            }
            b'u' => {
                let items = self.marked()?;
                self.set(items)
            }
            b'c' => self.import(cursor),
            b'R' => self.call(),
            b'Q' => self.storage(),
            // BUILD: the attributes of a state dict, which hold the versions of its modules.
            b'b' => {
                self.pop()?;
                self.dict().map(drop)
            }
            _ => Err(self.damaged(&format!(
                "has the opcode {opcode:#04x}, which no state dict needs"
            ))),
        }
    }

    /// GLOBAL
    fn import(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Error> {
        let [module, name] = [cursor.line(), cursor.line()];
        let [module, name] = [self.need(module)?, self.need(name)?].map(String::from_utf8_lossy);
        let global = Global::new(&module, &name).ok_or_else(|| Error::Global {
            path: self.path.to_owned(),
            global: shown(&format!("{module}.{name}")),
        })?;
        self.push(Value::Global(global))
    }

    /// REDUCE
    fn call(&mut self) -> Result<(), Error> {
        let [arguments, callee] = [self.pop()?, self.pop()?];
        let parts = self.parts(arguments)?;
        match (self.get(callee), parts.as_slice()) {
            (Some(Value::Global(Global::OrderedDict)), []) => self.push(Value::Dict(Vec::new())),
            (Some(Value::Global(Global::RebuildParameter)), [tensor, ..]) => {
                self.stack.push(*tensor);
                Ok(())
            }
            (Some(Value::Global(Global::RebuildTensor)), [storage, offset, shape, strides, ..]) => {
                let Some(Value::Storage(storage)) = self.get(*storage) else {
                    return Err(self.damaged("has a tensor without a storage"));
                };
                let view = View {
                    offset: self.size(*offset)?,
                    shape: self.sizes(*shape)?,
                    strides: self.sizes(*strides)?,
                    ..(**storage).clone()
                };
                self.push(Value::Tensor(Box::new(view)))
            }
            _ => Err(self.damaged("calls something in a way that state dicts do not")),
        }
    }

    /// BINPERSID of `("storage", type, name, device, length)`
    fn storage(&mut self) -> Result<(), Error> {
        let id = self.pop()?;
        let parts = self.parts(id)?;
        let [kind, class, name, _device, length] = parts.as_slice() else {
            return Err(self.damaged("has a reference of another kind than a storage's"));
        };
        let values = [kind, class, name].map(|&id| self.get(id));
        let [
            Some(Value::Text("storage")),
            Some(Value::Global(class)),
            Some(Value::Text(name)),
        ] = values
        else {
            return Err(self.damaged("has a reference of another kind than a storage's"));
        };
        let Global::Storage(encoding) = class else {
            return Err(self.damaged("has a storage of no type"));
        };
        let view = View {
            storage: name,
            encoding: *encoding,
            length: self.size(*length)?,
            offset: 0,
            shape: Vec::new(),
            strides: Vec::new(),
        };
        self.push(Value::Storage(Box::new(view)))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), Error> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    /// Takes what lies on top of the stack, of that above the last mark.
    fn pop(&mut self) -> Result<Id, Error> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(self.cut_off());
        }
        let top = self.stack.pop();
        self.need(top)
    }

    /// Takes what lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.marks.pop();
        self.cut(mark)
    }

    fn cut(&mut self, start: Option<usize>) -> Result<Vec<Id>, Error> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        match start {
            Some(start) if start >= lowest && start <= self.stack.len() => {
                Ok(self.stack.split_off(start))
            }
            _ => Err(self.cut_off()),
        }
    }

    fn top(&self) -> Result<Id, Error> {
        self.need(self.stack.last().copied())
    }

    fn put(&mut self, key: u32) -> Result<(), Error> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), Error> {
        let id = self.memo.get(&key).copied();
        let id = id.ok_or_else(|| self.damaged("refers to a value that it does not have"))?;
        self.stack.push(id);
        Ok(())
    }

    /// That the top of the stack is a list, whose items no tensor depends on.
    fn list(&mut self) -> Result<(), Error> {
        match self.get(self.top()?) {
            Some(Value::Other) => Ok(()),
            _ => Err(self.damaged("appends to what is no list")),
        }
    }

    fn dict(&mut self) -> Result<&mut Vec<(Id, Id)>, Error> {
        let id = self.top()?;
        let damaged = self.damaged("sets items or attributes of what is no dict");
        match self.values.get_mut(id) {
            Some(Value::Dict(items)) => Ok(items),
            _ => Err(damaged),
        }
    }

    fn set(&mut self, items: Vec<Id>) -> Result<(), Error> {
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() {
            return Err(self.damaged("sets an item without a value"));
        }
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        self.dict()?.extend(pairs);
        Ok(())
    }

    pub fn get(&self, id: Id) -> Option<&Value<'a>> {
        self.values.get(id)
    }

    /// The parts of a tuple, of which none that is used has more than [`MAX_PARTS`].
    fn parts(&self, id: Id) -> Result<Vec<Id>, Error> {
        match self.get(id) {
            Some(Value::Tuple(parts)) if parts.len() <= MAX_PARTS => Ok(parts.clone()),
            Some(Value::Tuple(_)) => Err(self.damaged("has a tuple that is too long")),
            _ => Err(self.damaged("has something else where a tuple should stand")),
        }
    }

    fn size(&self, id: Id) -> Result<usize, Error> {
        let size = match self.get(id) {
            Some(&Value::Integer(size)) => usize::try_from(size).ok(),
            _ => None,
        };
        size.ok_or_else(|| self.damaged("has something else where a size should stand"))
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, Error> {
        let parts = self.parts(id)?;
        parts.into_iter().map(|id| self.size(id)).collect()
    }

    /// The items of a dict whose keys are texts; those of anything else are none.
    pub fn items(&self, id: Id) -> impl Iterator<Item = (&'a str, Id)> {
        let items = match self.get(id) {
            Some(Value::Dict(items)) => items.as_slice(),
            _ => &[],
        };
        items
            .iter()
            .filter_map(|&(key, value)| match self.get(key) {
                Some(&Value::Text(key)) => Some((key, value)),
                _ => None,
            })
    }

    fn need<T>(&self, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.cut_off())
    }

    fn cut_off(&self) -> Error {
        self.damaged("ends too early or takes more than it has")
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::damaged(self.path, format!("its pickle {reason}"))
    }
}

/// A little-endian two's complement number of any length; `None` if it is longer than 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut number = if negative { [0xff; 8] } else { [0; 8] };
    number.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(number))
}
