// Reading a model's keys one by one: presence, type and range are checked in one place, and every problem is noted
// with the place of its key instead of stopping at the first. Not here: what the keys mean (model_config.cpp).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <attnlab/error.h>

#include "model/config/model_config.h"

namespace attnlab::model {

inline constexpr int kMaxCount = 2147483647;   // counts are int everywhere
inline constexpr int kMaxLatentDim = 1 << 16;  // of each width of latent attention

/// A condition on a number and what to say where it fails.
struct NumberRule {
  bool (*holds)(double);
  const char* wanted;
};
extern const NumberRule kPositive;
extern const NumberRule kNotNegative;
extern const NumberRule kAtLeastOne;
extern const NumberRule kShare;  // in (0, 1]

/// Typed access to a set of keys. A null counts as absent. What is wrong is added to `problems`; a reader then returns
/// its stand-in (0 for counts, which no valid count is), so that reading can go on.
class ConfigFields {
 public:
  /// Borrows everything. `prefix` comes before the keys in messages ("rope_scaling."); `where` is the place of the
  /// whole, for keys that are missing.
  /// `spellings`: what a key that is asked for is called in these entries, where its family calls it otherwise.
  ConfigFields(std::span<const ConfigEntry> entries, std::string prefix, std::string where,
               std::vector<Problem>& problems, std::span<const std::pair<std::string, std::string>> spellings = {});

  [[nodiscard]] std::span<const ConfigEntry> entries() const noexcept { return entries_; }
  [[nodiscard]] bool has(std::string_view key) const;  // there, and not null
  /// The entry, null or not; nullptr if it is not there.
  [[nodiscard]] const ConfigEntry* entry(std::string_view key) const;
  [[nodiscard]] std::string where(std::string_view key) const;
  void problem(std::string_view key, const std::string& what, std::string remedy = {}) const;
  [[nodiscard]] std::vector<Problem>& problems() const noexcept { return problems_; }

  [[nodiscard]] int count(std::string_view key, int absent, int least = 1, int most = kMaxCount) const;
  /// A count that another reader notes where it is wrong or not there: 0 then.
  [[nodiscard]] int known_count(std::string_view key, int most = kMaxCount) const;
  [[nodiscard]] int required_count(std::string_view key, int most = kMaxCount) const;
  [[nodiscard]] bool flag(std::string_view key, bool absent) const;
  /// Finite numbers that obey the rule.
  [[nodiscard]] double number(std::string_view key, double absent, const NumberRule& rule) const;
  [[nodiscard]] std::optional<double> optional_number(std::string_view key, const NumberRule& rule) const;
  [[nodiscard]] std::optional<double> required_number(std::string_view key, const NumberRule& rule) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  [[nodiscard]] std::vector<double> positive_list(std::string_view key) const;

  /// Notes every key that is not among `allowed`, with the nearest that is; `of` says what the keys belong to.
  void refuse_unknown(const std::vector<std::string>& allowed, const std::string& of) const;

 private:
  [[nodiscard]] std::string_view spelled(std::string_view key) const;
  [[nodiscard]] const ConfigEntry* entry_named(std::string_view name) const;

  std::span<const ConfigEntry> entries_;
  std::string prefix_;
  std::string where_;
  std::vector<Problem>& problems_;
  std::span<const std::pair<std::string, std::string>> spellings_;
};

}  // namespace attnlab::model
