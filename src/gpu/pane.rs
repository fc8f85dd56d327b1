//! The renderer as egui calls it: one pane of one frame, and the words that stand in place of its picture.

use std::sync::Arc;

use eframe::egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use egui::{Context, Id, PaintCallbackInfo};

use super::{Shown, SliceRenderer};
use crate::frame::{Layers, View};

/// One pane of one frame.
pub struct PaintSlice {
    /// Tells panes apart within a frame.
    pub pane: u64,
    pub view: View,
    pub layers: Arc<Layers>,
    /// Where further frames are asked for until the picture is complete: egui gives a callback no context of its own.
    pub ctx: Context,
}

/// What a pane had to say in the last frame in place of its picture.
pub fn words(ctx: &Context, pane: u64) -> Option<String> {
    ctx.data(|data| data.get_temp(id(pane))).flatten()
}

fn id(pane: u64) -> Id {
    Id::unique(("PaintSlice", pane))
}

impl CallbackTrait for PaintSlice {
    fn prepare(
        &self,
        _device: &wgpu::Device,
        _queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(renderer) = resources.get_mut::<SliceRenderer>() {
            renderer.ask(self.pane, self.view, Arc::clone(&self.layers));
        }
        Vec::new()
    }

    /// Finishes the frame. egui calls this when every pane has asked, so it is known which volumes the frame does not show any more.
    fn finish_prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(renderer) = resources.get_mut::<SliceRenderer>() {
            renderer.finish(device, queue);
            let shown = renderer.shown(self.pane);
            let words = match shown {
                Some(Shown::Loading) => Some("Loading…".to_owned()),
                Some(Shown::Refused(why)) => Some(why.clone()),
                Some(Shown::Picture) | None => None,
            };
            let said = self.ctx.data_mut(|data| data.get_temp::<Option<String>>(id(self.pane))).flatten();
            if said != words || shown == Some(&Shown::Loading) {
                self.ctx.data_mut(|data| data.insert_temp(id(self.pane), words));
                self.ctx.request_repaint();
            }
        }
        Vec::new()
    }

    fn paint(&self, _info: PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        if let Some(renderer) = resources.get::<SliceRenderer>() {
            renderer.paint(pass, self.pane);
        }
    }
}
