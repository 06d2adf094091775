//! How pictures are asked about without a question of the dataset, written by hand. Wordings of validation and held-out
//! ones use other words in another order.

use super::Task;

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
        "Which color do you see here?",
        "Look at the thing and tell me its color.",
        "I cannot see colors. Which one is this?",
        "Please write the color of the object.",
        "Can you say which color that is?",
        "The color of this object is what?",
        "Let me know the color that the shape has.",
        "Pick the word for this color.",
        "Is it red, blue, green or some other color?",
        "Tell us the color, we do not need the form.",
        "What would you call this color?",
        "For my notes: which color is the object?",
    ],
    validation: [
        "What paint was used for the drawing?",
        "Report the color and leave out everything else.",
        "The thing drawn here has one color. Which?",
        "Could you tell which color fills this figure?",
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
        "Which form do you see here?",
        "Look at the thing and tell me its shape.",
        "I do not know this form. What is it called?",
        "Please write the shape of the object.",
        "Can you say which shape that is?",
        "The shape of this object is what?",
        "Let me know the form that the object has.",
        "Pick the word for this shape.",
        "Is it round, or has it three or four corners? Name the shape.",
        "Tell us the shape, we do not need the color.",
        "Has it corners? Tell me which shape it is.",
        "For my notes: which shape is the object?",
    ],
    validation: [
        "State the form of the drawing.",
        "What outline has the object, whatever color it may be?",
        "Could you tell which shape has been used here?",
        "Report the shape and leave out everything else.",
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
        "Look at the picture and tell me what is in it.",
        "I cannot see it. What is in the image?",
        "Write down the color and the shape that you see.",
        "Can you describe what you see?",
        "Tell me in a few words what was drawn here.",
        "What is this a picture of?",
        "For my notes: what does the image show, and in what color?",
        "Let me know what is in the picture, color first.",
        "Which shape is it, and which color has it?",
        "Please write what you see here.",
        "There is one object. Describe it.",
        "Say it in a few words: what do you see?",
    ],
    validation: [
        "Report color and shape together.",
        "Could you sketch in words what is visible?",
        "What exactly was drawn, and how is it colored?",
        "A brief account of the drawing, please.",
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
    validation: [
        "Compose a short text to accompany the picture.",
        "If this hung in a museum, what would the label say?",
        "State the content of the image in one phrase.",
        "Could you word a heading for this?",
    ],
    held_out: [
        "Suggest a line of text that could stand below this photo.",
        "In a few words, what is there to see?",
        "This is going into an album and needs a title. Make one.",
        "Summarize the scene as compactly as you can.",
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
    validation: [
        "In which part of the emoji list is this found?",
        "State the class of the emoji.",
        "Could you file this emoji for me? I need its section.",
        "What kind of emoji have we here?",
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
    validation: [
        "State what this emoji stands for by its name.",
        "Could you tell me how this little image is called?",
        "What name goes with the drawing?",
        "Write down the term for this emoji.",
    ],
    held_out: [
        "How is the little symbol that you see officially labeled?",
        "Under what title does Unicode list this sign?",
        "Read this pictogram out to me.",
        "If you searched a keyboard for it, what would you type?",
    ],
};

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&Task; 6] = [&COLOUR, &SHAPE, &DESCRIBE, &CAPTION, &GROUP, &NAME];
