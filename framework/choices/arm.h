// An arm: one of the configurations that an experiment compares, as it was chosen. Not here: how arms are written in
// YAML (arms.h), and what becomes of the choices with a model's own values (arm_model.h).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "base/element.h"
#include "choices/layered_choice.h"
#include "choices/plain_components.h"
#include "config/node.h"

namespace attnlab::experiment {

/// What an arm that does not name a kind takes: the model's own.
struct ArmDefaults {
  std::string attention = kPlainAttention;
  std::string position = kPlainPosition;
  std::string cache = kPlainCache;
  /// The attention of the model where some of its keys are otherwise; Error at a key where they cannot be. Empty where
  /// no arm may change the model.
  std::function<std::string(const config::Node& model)> changed_attention = {};
};

struct ATTNLAB_API Arm {
  std::string name;  // unique
  std::vector<std::string> tags;
  config::Node model;  // a map of keys of the model YAML that the arm has otherwise; null: none
  LayeredChoice attention;
  LayeredChoice position;
  LayeredChoice cache;
  config::Node train;  // a map of keys of `train:` that the arm has otherwise; a scalar, none: it is not trained
  std::optional<ElementType> weights;  // how the matrices of the model are held; none: as they are stored
  std::optional<Arithmetic> compute;   // what products of many tokens multiply; none: f32
  int threads = 0;                     // 0: as the experiment says
  config::Mark where;
  bool from_grid = false;  // such an arm may be refused without ending the run

  [[nodiscard]] const LayeredChoice& choice(Kind kind) const noexcept;
};

}  // namespace attnlab::experiment
