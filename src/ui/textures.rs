//! Pictures of the session on the GPU, for egui to draw.

use std::sync::Arc;

use egui::{ColorImage, Context, Id, TextureHandle, TextureOptions};
use image::RgbaImage;

/// A texture, and what it was made of.
struct Made<T> {
    of: Arc<T>,
    texture: TextureHandle,
}

/// The texture of a picture at the place that `name` names. It is made when the picture is first drawn there.
pub(super) fn picture(ctx: &Context, name: &str, picture: &Arc<RgbaImage>) -> TextureHandle {
    texture(ctx, name, picture, |picture| {
        let size = [picture.width() as usize, picture.height() as usize];
        ColorImage::from_rgba_unmultiplied(size, picture.as_raw())
    })
}

/// The texture of anything that has pixels.
pub(super) fn texture<T: Send + Sync + 'static>(
    ctx: &Context,
    name: &str,
    of: &Arc<T>,
    pixels: impl FnOnce(&T) -> ColorImage,
) -> TextureHandle {
    let id = Id::unique(("texture", name));
    let known = ctx.data(|data| data.get_temp::<Arc<Made<T>>>(id));
    if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.of, of)) {
        return known.texture.clone();
    }
    let texture = ctx.load_texture(name, pixels(of), TextureOptions::LINEAR);
    ctx.data_mut(|data| data.insert_temp(id, Arc::new(Made { of: Arc::clone(of), texture: texture.clone() })));
    texture
}
