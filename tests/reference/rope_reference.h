// Rotary positions as the papers and the checkpoints' own configs define them, one angle at a time in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <attnlab/options.h>
#include <attnlab/position_scheme.h>

namespace attnlab::reference {

struct Rope {
  int head_dim = 64;
  double theta = 10000;
  bool traditional = false;
  double partial = 1;
  std::string scaling = "none";
  double factor = 1;
  int original = 0;  // 0: max_positions
  int max_positions = 4096;
  double low = 1, high = 4;               // llama3
  double beta_fast = 32, beta_slow = 1;   // yarn
  double attention_factor = 0;            // yarn; 0: as mscale says, else 0.1 ln(factor) + 1
  double mscale = 0, mscale_all_dim = 0;  // yarn; 0: not given
  bool truncate = true;                   // yarn: the ramp is between whole pairs

  [[nodiscard]] OptionValues options() const {
    return {{"theta", theta},
            {"traditional", traditional},
            {"partial_rotary_factor", partial},
            {"scaling", scaling},
            {"factor", factor},
            {"original_max_position_embeddings", std::int64_t{original}},
            {"low_freq_factor", low},
            {"high_freq_factor", high},
            {"beta_fast", beta_fast},
            {"beta_slow", beta_slow},
            {"attention_factor", attention_factor},
            {"mscale", mscale},
            {"mscale_all_dim", mscale_all_dim},
            {"truncate", truncate}};
  }
  [[nodiscard]] int rotated() const { return static_cast<int>(head_dim * partial); }
  [[nodiscard]] double trained() const { return original > 0 ? original : max_positions; }

  /// Angle per position of pair `j`.
  [[nodiscard]] double frequency(int j, Position length) const {
    const double d = rotated();
    const auto plain = [&](double base) { return 1 / std::pow(base, 2 * j / d); };
    const double wavelength = 2 * std::numbers::pi / plain(theta);
    if (scaling == "linear") return plain(theta) / factor;
    if (scaling == "dynamic") {
      if (length <= trained()) return plain(theta);
      return plain(theta * std::pow(factor * length / trained() - (factor - 1), d / (d - 2)));
    }
    if (scaling == "llama3") {
      if (wavelength < trained() / high) return plain(theta);
      if (wavelength > trained() / low) return plain(theta) / factor;
      const double smooth = (trained() / wavelength - low) / (high - low);
      return (1 - smooth) * plain(theta) / factor + smooth * plain(theta);
    }
    if (scaling == "yarn") {
      // The pair that turns this often within the trained length.
      const auto pair_of = [&](double turns) {
        return d * std::log(trained() / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
      };
      const double from = pair_of(beta_fast);
      const double to = pair_of(beta_slow);
      const double first = std::max(truncate ? std::floor(from) : from, 0.0);
      double last = std::min(truncate ? std::ceil(to) : to, d - 1);
      if (first == last) last += 0.001;
      const double interpolated = std::clamp((j - first) / (last - first), 0.0, 1.0);
      return interpolated * plain(theta) / factor + (1 - interpolated) * plain(theta);
    }
    return plain(theta);
  }
  [[nodiscard]] double magnitude() const {
    if (scaling != "yarn") return 1;
    if (attention_factor > 0) return attention_factor;
    const double log_factor = 0.1 * std::log(factor);
    if (mscale > 0 && mscale_all_dim > 0) return (mscale * log_factor + 1) / (mscale_all_dim * log_factor + 1);
    return log_factor + 1;
  }

  [[nodiscard]] std::vector<double> frequencies(Position length) const {
    std::vector<double> all;
    for (int j = 0; j < rotated() / 2; ++j) all.push_back(frequency(j, length));
    return all;
  }

  /// Pairs are neighbours in the traditional order, else halves apart.
  void turn(std::span<double> x, Position position, const std::vector<double>& frequencies) const {
    const std::size_t pairs = frequencies.size();
    for (std::size_t j = 0; j < pairs; ++j) {
      double& a = x[traditional ? 2 * j : j];
      double& b = x[traditional ? 2 * j + 1 : j + pairs];
      const double angle = position * frequencies[j];
      const double turned = a * std::cos(angle) - b * std::sin(angle);
      b = magnitude() * (b * std::cos(angle) + a * std::sin(angle));
      a = magnitude() * turned;
    }
  }
  /// As Rules::rotate wants it; for scalings that do not depend on the length.
  [[nodiscard]] auto rule() const {
    return [rope = *this, angles = frequencies(0)](std::span<double> x, Position position, RotateSide, Position) {
      rope.turn(x, position, angles);
    };
  }
};

}  // namespace attnlab::reference
