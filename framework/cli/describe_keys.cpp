#include "cli/describe_keys.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiment/spec_keys.h"

namespace attnlab::cli {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

// Bounds from here on only say what a number of the program can hold.
constexpr double kGreat = 2147483647;

// What code of its own reads, of the keys of storages and workloads.
std::string form_name(std::string_view form) {
  if (form == "batches") return "batch or a list";
  if (form == "prefill") return fmt::format("tokens or {}", experiment::kWholePrefill);
  return std::string(form);
}

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
      return form_name(key.form);
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

void describe_storage(const experiment::StorageKeys& storage) {
  fmt::print("storage {} - {}\n", storage.name, storage.doc);
  if (storage.keys.empty())
    fmt::print("written: storage: {0}, or {{k: {0}, v: NAME, page: ROWS}} with keys and values apart\n", storage.name);
  else
    fmt::print("written: storage: {0}, or {{{0}: {{OPTION: VALUE}}, page: ROWS}}\n", storage.name);
  fmt::print("options:{}\n", storage.keys.empty() ? " none" : "");
  print_keys(storage.keys);
  fmt::print("beside the name:\n");
  print_keys({*config::find_key(experiment::storage_keys(), "page")});
}

void describe_workload(const experiment::WorkloadKeys& workload) {
  fmt::print("workload {} - {}\nwritten: workloads: [{{{}: {{KEY: VALUE}}}}]\nkeys:\n", workload.name, workload.doc,
             workload.name);
  print_keys(workload.keys);
}

template <class Use>
void for_every(const std::string& kind, const Use& use) {
  if (kind == "storage")
    for (const experiment::StorageKeys& storage : experiment::storage_kinds()) use(storage);
  if (kind == "workload")
    for (const experiment::WorkloadKeys& workload : experiment::workload_keys()) use(workload);
}

}  // namespace

const std::vector<std::string>& declared_kinds() {
  static const std::vector<std::string> kinds = {"storage", "workload"};
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
  for (const experiment::StorageKeys& storage : experiment::storage_kinds()) {
    if (storage.name != name) continue;
    describe_storage(storage);
    return true;
  }
  for (const experiment::WorkloadKeys& workload : experiment::workload_keys()) {
    if (workload.name != name) continue;
    describe_workload(workload);
    return true;
  }
  return false;
}

}  // namespace attnlab::cli
