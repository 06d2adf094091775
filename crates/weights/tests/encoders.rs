//! BERT, ViT, CLIP and their kin against what their own libraries give (`tests/reference/weights.py`).

#[path = "encoders/dual.rs"]
mod dual;
#[path = "encoders/export.rs"]
mod export;
#[path = "encoders/fixture.rs"]
mod fixture;
#[path = "encoders/published.rs"]
mod published;
#[path = "encoders/refused.rs"]
mod refused;
#[path = "encoders/text.rs"]
mod text;
#[path = "encoders/vision.rs"]
mod vision;
