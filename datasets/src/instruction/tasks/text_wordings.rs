//! How text tasks are asked for, written by hand. Wordings of validation and held-out ones use other words
//! in another order.

use super::Task;

pub(super) const COPY: Task = Task {
    name: "copy",
    seen: &[
        "Repeat these words: {words}",
        "Copy the following words.\n{words}",
        "Say this again: {words}",
        "Write the same words once more.\n{words}",
        "{words}\nRepeat the line above.",
        "Please copy: {words}",
        "Give back exactly what you read: {words}",
        "Type these words again, unchanged: {words}",
    ],
    validation: [
        "Do not change anything, just return this: {words}",
        "{words}\nNow you say it.",
        "Print this line a second time: {words}",
        "I want to see the same text from you. {words}",
    ],
    held_out: [
        "Echo my input without altering anything. {words}",
        "{words}\nHand me an identical line.",
        "Be a parrot now. I say: {words}",
        "Reproduce, word for word, this text: {words}",
    ],
};

pub(super) const REVERSE: Task = Task {
    name: "reverse",
    seen: &[
        "Reverse the order of these words: {words}",
        "Write the words backwards, last word first: {words}",
        "Turn the word order around.\n{words}",
        "Put the last word first and the first word last: {words}",
        "{words}\nGive the words in reverse order.",
        "Please reverse this list of words: {words}",
        "Say the words from the end to the beginning: {words}",
        "List these in the opposite order: {words}",
    ],
    validation: [
        "Read this list from its end: {words}",
        "{words}\nTurn that line round, keeping each word whole.",
        "What was last shall be first: {words}",
        "Give me these words in backward order. {words}",
    ],
    held_out: [
        "Start with the final word and go back one by one. {words}",
        "{words}\nNow the other way round, word by word.",
        "How does this sequence of words read from right to left? {words}",
        "Flip this list so that its end comes up front: {words}",
    ],
};

pub(super) const SORT: Task = Task {
    name: "sort",
    seen: &[
        "Sort these words alphabetically: {words}",
        "Put the words in alphabetical order.\n{words}",
        "Order the following words from a to z: {words}",
        "{words}\nSort this list by the alphabet.",
        "Arrange these words alphabetically: {words}",
        "Please sort: {words}",
        "Write the words in the order of a dictionary: {words}",
        "Alphabetical order, please: {words}",
    ],
    validation: [
        "Bring this list into alphabetical sequence: {words}",
        "{words}\nWhich order would the alphabet give?",
        "As in an index, please: {words}",
        "Words beginning with a go first, with z last. {words}",
    ],
    held_out: [
        "In which sequence would a dictionary print these? {words}",
        "Rank what follows by first letter, beginning at a. {words}",
        "{words}\nTidy up this line so that it runs from a to z.",
        "Alphabetize: {words}",
    ],
};

pub(super) const COUNT_WORDS: Task = Task {
    name: "count-words",
    seen: &[
        "How many words are there? {words}",
        "Count the words: {words}",
        "{words}\nHow many words does this line have?",
        "Tell me the number of words in this list: {words}",
        "Count how many words follow.\n{words}",
        "Give the word count of: {words}",
        "What is the number of words here? {words}",
        "Please count these words: {words}",
    ],
    validation: [
        "State how many words I wrote: {words}",
        "{words}\nHow many was that?",
        "The size of this list, as a number: {words}",
        "Go through this and count each word. {words}",
    ],
    held_out: [
        "If each word cost one penny, what would this line cost in pennies? {words}",
        "{words}\nThat makes how many words in total?",
        "Word count wanted. {words}",
        "I need to know the length of this list in words. {words}",
    ],
};

pub(super) const COUNT_LETTERS: Task = Task {
    name: "count-letters",
    seen: &[
        "How many letters does the word {word} have?",
        "Count the letters in {word}.",
        "Tell me how many letters are in the word \"{word}\".",
        "Number of letters in {word}?",
        "{word}: how many letters is that?",
        "What is the number of letters of {word}?",
        "Please count the letters of this word: {word}",
        "Give the count of letters in \"{word}\".",
    ],
    validation: [
        "{word} is made of how many letters?",
        "State the letter count of {word}.",
        "If I write {word}, how many characters do I need?",
        "The word is \"{word}\". Its letters number how many?",
    ],
    held_out: [
        "How long is {word}, measured in letters?",
        "To spell {word}, I have to write how many letters?",
        "State the length of \"{word}\".",
        "Spelling out {word} takes a certain number of letters. Which?",
    ],
};

pub(super) const UPPER: Task = Task {
    name: "upper",
    seen: &[
        "Write in upper case: {words}",
        "Turn these words into capital letters: {words}",
        "Convert to uppercase.\n{words}",
        "{words}\nWrite this line in capitals.",
        "Use only capital letters for this: {words}",
        "Please make these letters large: {words}",
        "Give this text in upper case letters: {words}",
        "All capitals, please: {words}",
    ],
    validation: [
        "Type this with big letters only: {words}",
        "{words}\nThe same in upper case, please.",
        "No small letters may remain: {words}",
        "Print in block capitals. {words}",
    ],
    held_out: [
        "Shout what I whisper. {words}",
        "Rewrite with the shift key held down: {words}",
        "{words}\nEvery letter of that should become a big one.",
        "Capitalize all of it, letter by letter: {words}",
    ],
};

pub(super) const LOWER: Task = Task {
    name: "lower",
    seen: &[
        "Write in lower case: {words}",
        "Turn these words into small letters: {words}",
        "Convert to lowercase.\n{words}",
        "{words}\nWrite this line without capitals.",
        "Use only small letters for this: {words}",
        "Please remove the capital letters: {words}",
        "Give this text in lower case letters: {words}",
        "No capitals, please: {words}",
    ],
    validation: [
        "Type this with little letters only: {words}",
        "{words}\nThe same in lower case, please.",
        "No big letters may remain: {words}",
        "Print without any capitals. {words}",
    ],
    held_out: [
        "Whisper what I shout. {words}",
        "Caps lock was on by mistake; put this right: {words}",
        "{words}\nEvery letter of that should become a little one.",
        "Make it all lowercase for me: {words}",
    ],
};

pub(super) const FIRST: Task = Task {
    name: "first",
    seen: &[
        "What is the first word? {words}",
        "Give the first word of this list: {words}",
        "{words}\nWhich word comes first?",
        "Write down only the first of these words: {words}",
        "Tell me the word at the beginning: {words}",
        "First word of: {words}",
        "Find the first word here.\n{words}",
        "Please name the word that stands first: {words}",
    ],
    validation: [
        "Name what this list begins with: {words}",
        "{words}\nOnly the word at the very start, please.",
        "State the first item. {words}",
        "Which word did I say before all others? {words}",
    ],
    held_out: [
        "With what word does this line open? {words}",
        "Drop everything but the opening word. {words}",
        "{words}\nHow does that start? One word.",
        "Which one leads this row? {words}",
    ],
};

pub(super) const LAST: Task = Task {
    name: "last",
    seen: &[
        "What is the last word? {words}",
        "Give the last word of this list: {words}",
        "{words}\nWhich word comes last?",
        "Write down only the last of these words: {words}",
        "Tell me the word at the end: {words}",
        "Last word of: {words}",
        "Find the last word here.\n{words}",
        "Please name the word that stands last: {words}",
    ],
    validation: [
        "Name what this list ends with: {words}",
        "{words}\nOnly the word at the very end, please.",
        "State the last item. {words}",
        "Which word did I say after all others? {words}",
    ],
    held_out: [
        "With what word does this line close? {words}",
        "Drop everything but the final word. {words}",
        "{words}\nHow does that finish? One word.",
        "Which one ends this row? {words}",
    ],
};

pub(super) const MEMBER: Task = Task {
    name: "member",
    seen: &[
        "Is the word {word} in this list? {words}",
        "Does this list contain {word}? {words}",
        "{words}\nIs {word} one of these words?",
        "Yes or no: is {word} among these words? {words}",
        "Look for {word} in this line and answer yes or no: {words}",
        "Can you find the word {word} here? {words}",
        "Tell me if {word} is in the list, yes or no. {words}",
        "Here is a list: {words}\nIs {word} in it?",
    ],
    validation: [
        "State by yes or no if {word} belongs to these words: {words}",
        "{words}\nDo you see {word} there?",
        "Did I put {word} into the following list? {words}",
        "Search this for {word} and say yes if it is there. {words}",
    ],
    held_out: [
        "I am searching for {word}. Did I write it down? {words}",
        "{words}\nTrue that {word} was mentioned? Yes or no.",
        "Check whether {word} occurs: {words}",
        "Of all that follows, is anything {word}? {words}",
    ],
};

pub(super) const SUM: Task = Task {
    name: "sum",
    seen: &[
        "What is {sum}?",
        "Compute {sum}.",
        "How much is {sum}?",
        "Work out {sum} and write the number as a word.",
        "{sum} is what?",
        "Calculate: {sum}",
        "Please solve {sum}.",
        "Tell me the result of {sum}.",
    ],
    validation: [
        "State the value of {sum}.",
        "{sum}, what does it come to?",
        "Add this up: {sum}",
        "Somebody wants {sum} from you.",
    ],
    held_out: [
        "{sum} makes which number?",
        "Do this in your head: {sum}",
        "Fill in the blank: {sum} equals ...",
        "My homework says {sum}. What should I write?",
    ],
};

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&Task; 11] = [
    &COPY,
    &REVERSE,
    &SORT,
    &COUNT_WORDS,
    &COUNT_LETTERS,
    &UPPER,
    &LOWER,
    &FIRST,
    &LAST,
    &MEMBER,
    &SUM,
];
