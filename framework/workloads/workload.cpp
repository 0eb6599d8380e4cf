#include "workloads/workload.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace attnlab::experiment {
namespace {

// Made by the first that registers: the files of a library are initialised in no order.
std::vector<const WorkloadKind*>& registered() {
  static std::vector<const WorkloadKind*> kinds;
  return kinds;
}

}  // namespace

const model::Tokenizer& ModelTexts::tokenizer() {
  if (tokenizer_ == nullptr) tokenizer_ = source_.tokenizer();
  return *tokenizer_;
}

Workload::~Workload() = default;

CaseRows Workload::most_rows(std::size_t, const CaseSize& size) const {
  return {.rows = static_cast<double>(size.longest), .sequences = 1};
}

std::map<std::string, std::string> Workload::data(FileHashes&, const std::vector<std::int64_t>&) const {
  return {};
}

void Workload::identify(nlohmann::ordered_json&, FileHashes&) const {}

std::optional<std::int64_t> Workload::own_seed() const {
  return std::nullopt;
}

void Workload::describe(nlohmann::ordered_json&, std::int64_t) const {}

std::optional<Problem> Workload::problem_with(const std::string&, const Compression&) const {
  return std::nullopt;
}

std::vector<const WorkloadKind*> workload_kinds() {
  std::vector<const WorkloadKind*> kinds = registered();
  std::ranges::sort(kinds, {}, &WorkloadKind::place);
  return kinds;
}

RegisteredWorkload::RegisteredWorkload(WorkloadKind kind) : kind_(std::move(kind)) {
  registered().push_back(&kind_);
}

RegisteredWorkload::~RegisteredWorkload() {
  std::erase(registered(), &kind_);
}

}  // namespace attnlab::experiment
