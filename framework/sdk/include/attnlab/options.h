// Options of a plugin, declared once as a struct with a `fields()` table. From that table come the defaults, the
// checks of YAML values, `attnlab describe` and the JSON Schema; a plugin never parses anything itself.
//
//   struct WindowOptions {
//     std::int64_t window = 4096;
//     static constexpr auto fields() {
//       return std::tuple{field("window", &WindowOptions::window, {.min = 1, .unit = "tokens", .doc = "..."})};
//     }
//     static void check(const WindowOptions&, Problems&) {}    // optional: rules across options
//   };
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/budget.h>

namespace attnlab {

enum class OptionType : std::uint8_t { boolean, integer, real, text, choice, integers, reals, budget };

/// monostate: not given. A budget is held as its text.
using OptionValue = std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<double>,
                                 std::vector<std::int64_t>>;

/// What `attnlab describe`, the YAML checks and the JSON Schema know of one option. Plain data.
struct OptionSpec {
  std::string name;  // with a dot if YAML has it in a nested map: protect.first
  OptionType type = OptionType::integer;
  OptionValue default_value;
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;  // of a choice, as written in YAML
  std::string unit;
  std::string doc;
  std::string from_model;  // key of the model's config that gives the value when YAML does not
  std::string group;       // options of a group come from the model together; if YAML gives one, none does
};

using OptionSchema = std::vector<OptionSpec>;

/// Values by option name, checked against the schema by the host. Names that are absent keep their default.
using OptionValues = std::map<std::string, OptionValue, std::less<>>;

/// Collects what is wrong with a set of options; each problem names an option.
class ATTNLAB_API Problems {
 public:
  void add(std::string option, std::string what);
  struct Entry {
    std::string option, what;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// How a field is declared beside its name and member.
struct FieldInfo {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::string_view unit{};
  std::string_view doc{};
  std::string_view from_model{};
  std::string_view group{};
};

/// Spelling of an enumerator in YAML. An enum that is an option specialises `kChoices<Enum>` with a table of these.
template <class Enum>
struct Choice {
  std::string_view name;
  Enum value;
};
template <class Enum>
inline constexpr std::array<Choice<Enum>, 0> kChoices{};

template <class Struct, class Member>
struct Field {
  std::string_view name;
  Member Struct::*member;
  FieldInfo info;
};

template <class Struct, class Member>
constexpr Field<Struct, Member> field(std::string_view name, Member Struct::*member, FieldInfo info) {
  return {name, member, info};
}

namespace detail {

template <class Member>
constexpr OptionType option_type() {
  if constexpr (std::is_same_v<Member, bool>)
    return OptionType::boolean;
  else if constexpr (std::is_enum_v<Member>)
    return OptionType::choice;
  else if constexpr (std::is_integral_v<Member>)
    return OptionType::integer;
  else if constexpr (std::is_floating_point_v<Member>)
    return OptionType::real;
  else if constexpr (std::is_same_v<Member, std::vector<std::int64_t>>)
    return OptionType::integers;
  else if constexpr (std::is_same_v<Member, std::vector<double>>)
    return OptionType::reals;
  else if constexpr (std::is_same_v<Member, Budget>)
    return OptionType::budget;
  else {
    static_assert(std::is_same_v<Member, std::string>,
                  "an option is bool, integer, real, text, an enum, integers, reals or a budget");
    return OptionType::text;
  }
}

/// Types that an OptionValue holds without conversion.
template <class Member>
inline constexpr bool kIsHeld =
    std::is_same_v<Member, bool> || std::is_same_v<Member, std::string> ||
    std::is_same_v<Member, std::vector<double>> || std::is_same_v<Member, std::vector<std::int64_t>>;

template <class Member>
OptionValue to_value(const Member& member) {
  if constexpr (std::is_enum_v<Member>) {
    for (const auto& choice : kChoices<Member>)
      if (choice.value == member) return std::string(choice.name);
    return std::monostate{};
  } else if constexpr (std::is_same_v<Member, Budget>) {
    return member.text();
  } else if constexpr (kIsHeld<Member>) {
    return member;
  } else if constexpr (std::is_integral_v<Member>) {
    return static_cast<std::int64_t>(member);
  } else {
    return static_cast<double>(member);
  }
}

template <class Member>
void from_value(const OptionValue& value, Member& member) {
  if constexpr (std::is_enum_v<Member>) {
    if (const auto* text = std::get_if<std::string>(&value))
      for (const auto& choice : kChoices<Member>)
        if (choice.name == *text) member = choice.value;
  } else if constexpr (std::is_same_v<Member, Budget>) {
    if (const auto* text = std::get_if<std::string>(&value)) member = Budget::parse(*text).value_or(member);
    if (const auto* count = std::get_if<std::int64_t>(&value)) member = Budget(static_cast<int>(*count));
  } else if constexpr (kIsHeld<Member>) {
    if (const auto* held = std::get_if<Member>(&value)) member = *held;
  } else if constexpr (std::is_integral_v<Member>) {
    if (const auto* held = std::get_if<std::int64_t>(&value)) member = static_cast<Member>(*held);
  } else {
    if (const auto* held = std::get_if<double>(&value)) member = static_cast<Member>(*held);
  }
}

}  // namespace detail

/// For components without options.
struct NoOptions {
  static constexpr auto fields() { return std::tuple{}; }
};

template <class Options>
OptionSchema option_schema() {
  OptionSchema schema;
  const Options defaults{};
  std::apply(
      [&]<class... Fields>(const Fields&... fields) {
        [[maybe_unused]] const auto add = [&]<class Struct, class Member>(const Field<Struct, Member>& f) {
          OptionSpec spec;
          spec.name = f.name;
          spec.type = detail::option_type<Member>();
          spec.default_value = detail::to_value(defaults.*f.member);
          spec.min = f.info.min;
          spec.max = f.info.max;
          if constexpr (std::is_integral_v<Member> && !std::is_same_v<Member, bool>) {
            spec.min = std::max(spec.min, static_cast<double>(std::numeric_limits<Member>::min()));
            spec.max = std::min(spec.max, static_cast<double>(std::numeric_limits<Member>::max()));
          }
          if constexpr (std::is_enum_v<Member>)
            for (const auto& choice : kChoices<Member>) spec.choices.emplace_back(choice.name);
          spec.unit = f.info.unit;
          spec.doc = f.info.doc;
          spec.from_model = f.info.from_model;
          spec.group = f.info.group;
          schema.push_back(std::move(spec));
        };
        (add(fields), ...);
      },
      Options::fields());
  return schema;
}

template <class Options>
Options decode_options(const OptionValues& values) {
  Options options{};
  std::apply(
      [&]<class... Fields>(const Fields&... fields) {
        [[maybe_unused]] const auto read = [&]<class Struct, class Member>(const Field<Struct, Member>& f) {
          if (const auto found = values.find(f.name); found != values.end())
            detail::from_value(found->second, options.*f.member);
        };
        (read(fields), ...);
      },
      Options::fields());
  return options;
}

/// Calls the struct's `check`, if it has one: rules across options.
template <class Options>
void check_options(const OptionValues& values, Problems& problems) {
  if constexpr (requires(const Options& options) { Options::check(options, problems); })
    Options::check(decode_options<Options>(values), problems);
}

}  // namespace attnlab
