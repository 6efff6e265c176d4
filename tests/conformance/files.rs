//! What a case does by way of files, streams and bytes.

use std::fs;

use ivf::{Control, Index, LoadOptions, Result};
use serde_json::Value;

use super::{Run, integers, size, status};

impl Run {
    /// Goes on with a copy that went this way.
    pub(super) fn go_on(&mut self, way: &str) -> Result<()> {
        let (context, control) = (self.index.context().clone(), Control::default());
        let options = LoadOptions::default();
        self.index = match way {
            "clone" => self.index.copy(context)?,
            "reload" => Index::deserialize(context, &self.bytes(), &options, &control)?,
            "stream_load" => {
                let mut stream = Vec::new();
                self.index.save_stream(&mut stream, &control)?;
                Index::load_stream(context, &mut &stream[..], &options, &control)?
            }
            "save_load" | "map_load" => {
                self.index.save(&self.file, &control)?;
                let options = LoadOptions { memory_map: way == "map_load", ..options };
                Index::load(context, &self.file, &options, &control)?
            }
            "export_faiss_load" => {
                self.index.export_faiss(&self.file, &control)?;
                Index::load(context, &self.file, &options, &control)?
            }
            other => panic!("unknown op {other}"),
        };
        Ok(())
    }

    /// A load of damaged bytes and a check, of them and of a file of them, have to answer alike.
    pub(super) fn check(&self, step: &Value) -> Result<()> {
        let mut bytes = self.bytes();
        let at = |key: &str| bytes.len() * size(step, key) / 16;
        let (flip, cut) = (at("flip"), at("cut"));
        if step["flip"].is_number() {
            bytes[flip] ^= 0xff;
        }
        if step["cut"].is_number() {
            bytes.truncate(cut);
        }
        fs::write(&self.file, &bytes).unwrap();
        let (context, control) = (self.index.context(), Control::default());
        let loaded = Index::deserialize(context.clone(), &bytes, &LoadOptions::default(), &control);
        let checked = Index::check_bytes(context.clone(), &bytes, 0, &control);
        let by_path = Index::check(context.clone(), &self.file, 0, &control);
        let answer = |result: &Result<()>| result.as_ref().err().map(status);
        assert_eq!(loaded.err().as_ref().map(status), answer(&checked));
        assert_eq!(answer(&by_path), answer(&checked));
        checked
    }

    /// Adds, or builds from, a file of vectors.
    pub(super) fn vector_file(&mut self, step: &Value) -> Result<()> {
        let path = self.file.with_file_name(format!("векторы-{}", step["file"].as_str().unwrap()));
        if step["content"].is_array() {
            let content = integers(step, "content").into_iter().map(|byte| u8::try_from(byte).unwrap());
            fs::write(&path, content.collect::<Vec<_>>()).unwrap();
        }
        let control = Control::default();
        let added = match step["op"].as_str() {
            Some("add_file") => self.index.add_file(&path, 0, &control),
            _ => self.index.build_file(&path, &Default::default(), &control),
        }?;
        assert_eq!(added, size(step, "added"));
        Ok(())
    }
}
