// What is in a folder that was named as a checkpoint: which files hold its weights, and what to say where it is
// something else. Not here: the weights themselves (checkpoint.h).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <attnlab/api.h>

namespace attnlab::model {

/// Whether a folder holds such a file. A link counts even if it leads nowhere, as a download that broke off leaves it:
/// opening it then says so, instead of the file being taken for absent and another one, or a default, used in silence.
[[nodiscard]] bool is_there(const std::filesystem::path& path);

/// The folder that is meant: of a Hugging Face cache entry (`models--org--name`) the snapshot that its refs/main names,
/// or its only one without refs/main; else the folder itself. Error where the entry has no such snapshot, naming those
/// that it has.
[[nodiscard]] ATTNLAB_API std::filesystem::path checkpoint_folder(const std::filesystem::path& folder);

/// What a folder without a config.json is: an adapter, a checkpoint in Mistral's own layout, GGUF files ...; an Error's
/// remedy, empty where nothing is recognised.
[[nodiscard]] std::string what_else_it_is(const std::filesystem::path& folder);

/// The one file with weights: model.safetensors, or else the only *.safetensors of the folder, an adapter's left out.
/// None where there is an index, which then counts. Error where there are several files and no index, or none at all,
/// saying what there is.
[[nodiscard]] std::optional<std::filesystem::path> weights_file(const std::filesystem::path& folder);

inline constexpr const char* kIndexFile = "model.safetensors.index.json";

}  // namespace attnlab::model
