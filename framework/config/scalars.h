// What a scalar means: the rules of YAML 1.2's core schema (so `yes` is text and 010 is ten), as typed readers that
// report instead of guessing, and as JSON.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::config {

enum class ScalarType : std::uint8_t { null, boolean, integer, real, text };

/// Of an unquoted text.
[[nodiscard]] ATTNLAB_API ScalarType plain_type(std::string_view text);

/// What a message calls a node: `nothing`, `true`, `12`, `text "abc"`, `a list`, `a map`.
[[nodiscard]] ATTNLAB_API std::string describe(const Node& node);

/// `8192 is outside 1..4096`, `0 is less than 1`, `7 is more than 5`; empty if the value is inside. Bounds that no
/// value of the type reaches are not named.
[[nodiscard]] ATTNLAB_API std::string bounds_fault(std::int64_t value, double min, double max);
[[nodiscard]] ATTNLAB_API std::string bounds_fault(double value, double min, double max);

// Readers. `name` begins the message ("threads: expected an integer, got text "two""). Nothing is returned where a
// problem was added.
inline constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

ATTNLAB_API std::optional<std::int64_t> as_integer(const Node& node, std::string_view name, ProblemList& problems,
                                                   std::int64_t min = -kMaxInteger - 1, std::int64_t max = kMaxInteger);
/// Integers are reals too.
ATTNLAB_API std::optional<double> as_real(const Node& node, std::string_view name, ProblemList& problems,
                                          double min = -kInfinity, double max = kInfinity);
ATTNLAB_API std::optional<bool> as_bool(const Node& node, std::string_view name, ProblemList& problems);
/// Text that looks like a number or a truth value must stand in quotes.
ATTNLAB_API std::optional<std::string> as_text(const Node& node, std::string_view name, ProblemList& problems);
ATTNLAB_API std::optional<std::string> as_choice(const Node& node, std::string_view name,
                                                 const std::vector<std::string>& choices, ProblemList& problems);

/// One integer, or a list of them that is not empty; ranges are written out.
ATTNLAB_API std::optional<std::vector<std::int64_t>> as_integers(const Node& node, std::string_view name,
                                                                 ProblemList& problems, std::int64_t min,
                                                                 std::int64_t max);
/// A list, each number within the bounds.
ATTNLAB_API std::optional<std::vector<double>> as_reals(const Node& node, std::string_view name, ProblemList& problems,
                                                        double min = -kInfinity, double max = kInfinity);
ATTNLAB_API std::optional<std::vector<std::string>> as_texts(const Node& node, std::string_view name,
                                                             ProblemList& problems);

/// Quoted scalars are strings; integers beyond 64 bits become reals. Error at a number that JSON cannot hold.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json to_json(const Node& node);

}  // namespace attnlab::config
