// Every key of `train:` with its type, bounds and meaning: what read_train.cpp takes, and what the JSON Schema will
// say.
#pragma once

#include <attnlab/api.h>

#include "config/keys.h"

namespace attnlab::training {

[[nodiscard]] ATTNLAB_API const config::KeyTable& train_keys();
[[nodiscard]] const config::KeyTable& adamw_keys();
[[nodiscard]] const config::KeyTable& muon_keys();
[[nodiscard]] const config::KeyTable& sgd_keys();
/// Of all kinds of schedules but the constant one; `decay` is that of wsd.
[[nodiscard]] const config::KeyTable& constant_keys();
[[nodiscard]] const config::KeyTable& falling_keys();
[[nodiscard]] const config::KeyTable& wsd_keys();
[[nodiscard]] const config::KeyTable& search_keys();
[[nodiscard]] const config::KeyTable& evaluate_keys();
[[nodiscard]] const config::KeyTable& stop_keys();
/// The file of `attnlab train`.
[[nodiscard]] ATTNLAB_API const config::KeyTable& train_file_keys();

}  // namespace attnlab::training
