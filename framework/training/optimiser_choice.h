// Which optimiser trains, with its options as `train:` gives them. Formulas: adamw.cpp, muon.cpp, sgd.cpp.
#pragma once

#include <string_view>
#include <variant>

#include <attnlab/api.h>

#include "config/node.h"

namespace attnlab::training {

/// Decoupled weight decay (Loshchilov and Hutter 2019).
struct AdamwOptions {
  static constexpr std::string_view kName = "adamw";
  double lr = 0;
  double beta1 = 0.9, beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;  // of tensors of two or more dimensions

  bool operator==(const AdamwOptions&) const = default;
};

/// Orthogonalised momentum for the matrices of the layers (Jordan 2024); adamw for everything else.
struct MuonOptions {
  static constexpr std::string_view kName = "muon";
  double lr = 0;
  double momentum = 0.95;
  double weight_decay = 0.1;
  AdamwOptions adamw;

  bool operator==(const MuonOptions&) const = default;
};

/// Gradient descent with heavy-ball momentum.
struct SgdOptions {
  static constexpr std::string_view kName = "sgd";
  double lr = 0;
  double momentum = 0.9;

  bool operator==(const SgdOptions&) const = default;
};

struct OptimiserChoice {
  std::variant<AdamwOptions, MuonOptions, SgdOptions> options;
  config::Mark where;  // of its name

  /// The rate that `search` sets. Muon's own: that of its adamw stays.
  [[nodiscard]] double rate() const {
    return std::visit([](const auto& of) { return of.lr; }, options);
  }
  void set_rate(double rate) {
    std::visit([rate](auto& of) { of.lr = rate; }, options);
  }
};

}  // namespace attnlab::training
