#include "cli/describe_keys.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "workloads/workload.h"

namespace attnlab::cli {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

// Bounds from here on only say what a number of the program can hold.
constexpr double kGreat = 2147483647;

std::string type_name(const Key& key) {
  switch (key.type) {
    case KeyType::boolean:
      return "true or false";
    case KeyType::integer:
      return "integer";
    case KeyType::integers:
      return "integer or a list";
    case KeyType::real:
      return "number";
    case KeyType::text:
      return "text";
    case KeyType::texts:
      return "list of texts";
    case KeyType::choice:
      return fmt::format("{}", fmt::join(key.choices, " | "));
    case KeyType::bytes:
      return "bytes, as 8GiB";
    case KeyType::share:
      return "share, as 2%";
    case KeyType::path:
      return "path";
    case KeyType::paths:
      return "path or a list";
    case KeyType::form:
      return std::string(key.written.empty() ? key.form : key.written);
  }
  return "";
}

std::string bounds(const Key& key) {
  const bool has_min = std::isfinite(key.min), has_max = std::isfinite(key.max) && key.max < kGreat;
  if (has_min && has_max) return fmt::format(", {}{} to {}", key.nonzero ? "above " : "", key.min, key.max);
  if (has_min) return fmt::format(", {} {}", key.nonzero ? "above" : "from", key.min);
  return has_max ? fmt::format(", to {}", key.max) : "";
}

void print_keys(const KeyTable& keys) {
  for (const Key& key : keys)
    fmt::print("  {} ({}{}{})\n      {}\n", key.name, type_name(key), bounds(key), key.required ? ", required" : "",
               key.doc);
}

void describe_workload(const experiment::WorkloadKind& workload) {
  fmt::print("workload {} - {}\nwritten: workloads: [{{{}: {{KEY: VALUE}}}}]\nkeys:\n", workload.name, workload.doc,
             workload.name);
  print_keys(workload.keys);
}

template <class Use>
void for_every(const std::string& kind, const Use& use) {
  if (kind == "workload")
    for (const experiment::WorkloadKind* workload : experiment::workload_kinds()) use(*workload);
}

}  // namespace

const std::vector<std::string>& declared_kinds() {
  static const std::vector<std::string> kinds = {"workload"};
  return kinds;
}

void list_declared(const std::string& kind) {
  for_every(kind, [](const auto& one) { fmt::print("  {:<14} {}\n", one.name, one.doc); });
}

std::vector<std::string> declared_names() {
  std::vector<std::string> names;
  for (const std::string& kind : declared_kinds())
    for_every(kind, [&](const auto& one) { names.emplace_back(one.name); });
  return names;
}

bool describe_declared(const std::string& name) {
  for (const experiment::WorkloadKind* workload : experiment::workload_kinds()) {
    if (workload->name != name) continue;
    describe_workload(*workload);
    return true;
  }
  return false;
}

}  // namespace attnlab::cli
