//! How tasks about pictures are asked for, written by hand. Held-out wordings use other words in another order.

use super::Task;

/// Answer a question.
pub(super) const ANSWER: Task = Task {
    name: "answer",
    seen: &[
        "{question}",
        "{question} Answer in one word.",
        "Look at the picture and answer this question: {question}",
        "Question: {question}\nShort answer:",
        "Here is a picture. {question}",
        "Please answer the question about the image.\n{question}",
        "I am looking at this image and wonder: {question}",
        "Use the image to answer. {question} Keep it short.",
        "{question} One word is enough.",
        "The question is this: {question}",
        "Can you help me with this image? {question}",
        "{question}\nReply briefly.",
        "Take the picture as your only source. {question}",
        "A child looks at this and asks: {question}",
        "In a word: {question}",
        "Give me the answer to this. {question}",
        "{question} Respond with the answer alone.",
        "What would you say about this picture? {question}",
        "Inspect the image before you reply. {question}",
        "Now a simple question: {question}",
    ],
    held_out: [
        "Judging by what you can see, {question} Reply with a single word.",
        "{question}\nGive the briefest reply that the photo supports.",
        "Study what is shown, then respond to the following. {question}",
        "Somebody hands you this and asks: {question} What do you say?",
    ],
};

/// Say yes or no to a question.
pub(super) const YES_NO: Task = Task {
    name: "yes-no",
    seen: &[
        "{question} Answer yes or no.",
        "Yes or no: {question}",
        "Look at the picture. {question} Say yes or no.",
        "{question}\nReply with \"yes\" or \"no\".",
        "Decide from the image whether the answer is yes or no. {question}",
        "{question} A plain yes or no is enough.",
        "Please tell me yes or no: {question}",
        "Is it yes or is it no? {question}",
        "{question} Yes or no?",
        "{question}\nYour reply must be yes or no.",
        "Give me a yes or a no. {question}",
        "I only need to hear yes or no: {question}",
        "{question} If so, say yes; if not, say no.",
        "Respond to this with yes or with no. {question}",
        "{question} Write yes when it is so and no when it is not.",
        "Is this the case? {question} (yes or no)",
        "Judge by the image, yes or no. {question}",
        "{question} Choose between yes and no.",
        "There are two answers, yes and no. Which is right? {question}",
        "Would you say yes or no? {question}",
    ],
    held_out: [
        "Only two replies are allowed here, yes and no. {question}",
        "{question} Give me a simple yes if so, and otherwise no.",
        "Check what is shown and respond with one of the words yes and no.\n{question}",
        "Would you agree to this or not? {question} (yes/no)",
    ],
};

/// Say whether a statement is true: yes or no, as the question that it is made of is answered.
pub(super) const STATEMENT: Task = Task {
    name: "statement",
    seen: &[
        "Statement: {statement} Is it true? Answer yes or no.",
        "{statement} Is that right? Say yes or no.",
        "Someone says about this picture: \"{statement}\" Are they right, yes or no?",
        "True or false? Answer yes for true and no for false. {statement}",
        "Does this sentence fit the image, yes or no?\n{statement}",
        "Compare the claim with the picture. {statement} Is the claim correct (yes/no)?",
        "{statement}\nReply yes if that is true of the image, no if it is false.",
        "Please check this statement: {statement} Does it hold, yes or no?",
        "Yes or no, is this so? {statement}",
        "{statement} If that fits the picture say yes, else say no.",
        "Do you agree, yes or no? {statement}",
        "I believe this: {statement} Am I right? Yes or no.",
        "Is the following correct? {statement} Yes or no.",
        "{statement}\nYes, or no?",
        "My friend claims this. {statement} Is he right, yes or no?",
        "Say yes if you see that it is so and no if you see that it is not. {statement}",
        "Read this and look at the image. {statement} Is it accurate, yes or no?",
        "A sentence about the picture: {statement} Answer yes if it is right and no if it is wrong.",
        "{statement} Give a yes or a no.",
        "Can one say this of the image? {statement} Yes or no.",
    ],
    held_out: [
        "Judge the following remark by what you see, with yes meaning accurate and no meaning mistaken. {statement}",
        "Would a careful viewer agree with this? Yes or no. {statement}",
        "\"{statement}\" Let me know by yes or no if what is shown bears it out.",
        "I was told: {statement} Can I believe it? One word, yes or no.",
    ],
};

/// Name the color of the one object.
pub(super) const COLOUR: Task = Task {
    name: "colour",
    seen: &[
        "Name the color of the shape.",
        "Which color does the shape in this picture have?",
        "Tell me the color you see.",
        "Look at the image and say what color the object is.",
        "Color of the shape?",
        "Give the color of the figure in one word.",
        "What is the object's color?",
        "Please identify the color that was used here.",
        "What color is this?",
        "Only the color, please.",
        "I would like to know which color the figure is.",
        "Say the color of the thing, not its form.",
        "How is it colored?",
        "Which color was it painted in?",
        "In one word, the color.",
        "Give me the color alone.",
    ],
    held_out: [
        "In which color has the figure been drawn?",
        "If you had to paint this shape again, which color would you take?",
        "One word, please: how is the thing shown here colored?",
        "Forget about the form, I only want to know the color.",
    ],
};

/// Name the shape of the one object.
pub(super) const SHAPE: Task = Task {
    name: "shape",
    seen: &[
        "Name the shape in this picture.",
        "Which shape do you see?",
        "Tell me the shape of the object.",
        "Look at the image and say what shape is drawn.",
        "Shape of the object?",
        "Give the name of the geometric shape in one word.",
        "What kind of shape is this?",
        "Please identify the figure: is it a circle, a rectangle or a triangle?",
        "What shape is this?",
        "Only the shape, please, not the color.",
        "I would like to know which form the object has.",
        "Say the form of the thing, not its color.",
        "Circle, rectangle or triangle?",
        "How would you call this figure?",
        "In one word, the shape.",
        "Give me the shape alone.",
    ],
    held_out: [
        "Which geometric figure has been drawn here?",
        "Ignore the color and report only what form it has.",
        "If you traced the outline of this thing, what shape would you get?",
        "What would a geometry teacher call this, in a word?",
    ],
};

/// Describe the one object: color and shape.
pub(super) const DESCRIBE: Task = Task {
    name: "describe",
    seen: &[
        "Describe the picture in a few words.",
        "What does this image show? Name the color and the shape.",
        "Say what you see, the color first and then the shape.",
        "Give a short description of the image.",
        "Describe the object with its color and shape.",
        "Briefly, what is shown here?",
        "Write a short phrase that describes this image.",
        "Please tell me what is drawn, with its color.",
        "Tell me about this picture briefly.",
        "What do you see, and in which color?",
        "Put the image into words.",
        "Color and shape of the object?",
        "Describe this for me.",
        "What is there? Give color and form.",
        "Make a short description with a color in it.",
        "Say what was drawn in a short phrase.",
    ],
    held_out: [
        "Put the contents of the picture into three words.",
        "How would you describe this to someone who cannot see it? Be brief.",
        "Which object, and of which color, appears here?",
        "Sum up in a tiny phrase everything there is to see.",
    ],
};

/// Give a picture its caption.
pub(super) const CAPTION: Task = Task {
    name: "caption",
    seen: &[
        "Write a caption for this picture.",
        "Caption this image.",
        "Give the image a short caption.",
        "Provide a brief caption of what is shown.",
        "Tell in one line what the picture shows.",
        "Which words would you print under this image?",
        "What would be a good caption here?",
        "Please describe the image concisely.",
    ],
    held_out: [
        "Suggest a line of text that could stand below this photo.",
        "In a few words, what is there to see?",
        "This is going into an album and needs a title. Make one.",
        "Summarize the scene as compactly as you can.",
    ],
};

/// Pick the answer among choices.
pub(super) const CHOOSE: Task = Task {
    name: "choose",
    seen: &[
        "{question}\nChoose one:\n{choices}",
        "{question} Pick one of these.\n{choices}",
        "Answer with one of the options.\n{question}\n{choices}",
        "Options:\n{choices}\n{question}",
        "{question}\nThe possible answers are:\n{choices}",
        "Look at the picture and select the right answer. {question}\n{choices}",
        "Which of the options is correct? {question}\n{choices}",
        "Here are the choices:\n{choices}\nNow answer: {question}",
        "{question}\nOne of these is the answer:\n{choices}",
        "Select one.\n{question}\n{choices}",
        "Take your answer from this list.\n{choices}\n{question}",
        "{question} You may say one of these:\n{choices}",
        "A question with several options. {question}\n{choices}",
        "Consider these.\n{choices}\nWhich of them answers this? {question}",
        "{question}\nYour options:\n{choices}\nReply with one of them.",
        "Quiz: {question}\n{choices}\nGive the right one.",
    ],
    held_out: [
        "Exactly one entry below is right. {question}\n{choices}\nSay which.",
        "{choices}\nFrom this list, what fits best? {question}",
        "Multiple choice test. {question}\n{choices}\nWrite down the item that you would tick.",
        "Nothing but the following may be replied.\n{choices}\nSo, {question}",
    ],
};

/// Name the group that an emoji is in.
pub(super) const GROUP: Task = Task {
    name: "group",
    seen: &[
        "Which group of emoji does this one belong to?",
        "Name the emoji group of this picture.",
        "What category is this emoji in?",
        "Tell me the group of the emoji.",
        "Sort this emoji into its group.",
        "Look at the emoji and give its category.",
        "To which group would you assign this emoji?",
        "Emoji group?",
    ],
    held_out: [
        "Under which heading of a keyboard would you find this little picture?",
        "Classify the sign by the section that it is filed under.",
        "On what tab of the emoji picker does it appear?",
        "These pictures come in families. Which family has this one?",
    ],
};

/// Name an emoji.
pub(super) const NAME: Task = Task {
    name: "name",
    seen: &[
        "What is this emoji called?",
        "Name this emoji.",
        "Give the name of the emoji in the picture.",
        "Which emoji is shown?",
        "Tell me the name of this emoji.",
        "Look at the picture and write the emoji's name.",
        "What do people call this emoji?",
        "Identify the emoji.",
    ],
    held_out: [
        "How is the little symbol that you see officially labeled?",
        "Under what title does Unicode list this sign?",
        "Read this pictogram out to me.",
        "If you searched a keyboard for it, what would you type?",
    ],
};

/// Begin several questions about one picture.
pub(super) const QUESTIONS: Task = Task {
    name: "questions",
    seen: &[
        "I have a few questions about this picture. {question}",
        "Let us talk about the image. {question}",
        "Please answer my questions one after the other. {question}",
        "Here is an image that I would like to ask about.\n{question}",
        "First question about the picture: {question}",
        "Look at this image, I will ask you several things. {question}",
        "To begin with: {question}",
        "Help me understand this picture. {question}",
    ],
    held_out: [
        "There is more than one point that interests me in what you see. Let me start: {question}",
        "A short quiz on this photo! {question}",
        "Take a good look, others will follow. {question}",
        "Before anything else, tell me this: {question}",
    ],
};

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&Task; 11] = [
    &ANSWER, &YES_NO, &STATEMENT, &COLOUR, &SHAPE, &DESCRIBE, &CAPTION, &CHOOSE, &GROUP, &NAME,
    &QUESTIONS,
];
