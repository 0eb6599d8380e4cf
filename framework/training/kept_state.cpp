#include "training/kept_state.h"

#include <cstring>
#include <string_view>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/sha256.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The facts stand among the tensors, as bytes of JSON. Another form of state is another name.
constexpr const char* kFactsName = "attnlab.training.2";
constexpr const char* kRemedy = "begin anew without --resume, or resume the training that it belongs to";

std::string digest(std::span<const std::byte> bytes) {
  return experiment::sha256_of_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

[[noreturn]] void refuse(const fs::path& path, const std::string& what) {
  throw Error(path.string(), what, kRemedy);
}

std::string differences(const Belonging& kept, const Belonging& expected) {
  std::vector<std::string> names;
  for (const auto& [name, value] : expected)
    if (const auto found = kept.find(name); found == kept.end() || found->second != value) names.push_back(name);
  for (const auto& [name, value] : kept)
    if (!expected.contains(name)) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

void StateWriter::add(std::string name, std::span<const float> values) {
  kept_.push_back({std::move(name), values});
}

void StateWriter::write(const fs::path& path, const StateFacts& facts) const {
  std::vector<model::OutputTensor> tensors;
  json digests = json::object();
  for (const Kept& kept : kept_) {
    const auto bytes = std::as_bytes(kept.values);
    tensors.push_back({kept.name, model::DType::f32, {static_cast<std::int64_t>(kept.values.size())}, bytes});
    digests[kept.name] = digest(bytes);
  }
  const std::string text = json{
      {"belongs_to", facts.belongs_to},
      {"step", facts.step},
      {"csv_bytes", facts.csv_bytes},
      {"loop", facts.loop},
      {"digests", digests}}.dump();
  const auto bytes = std::as_bytes(std::span(text));
  tensors.push_back({kFactsName, model::DType::u8, {static_cast<std::int64_t>(text.size())}, bytes});
  // Each is as large as a state: they would fill the disk of a training that is killed often.
  model::remove_unfinished_files(path.has_parent_path() ? path.parent_path() : fs::path("."));
  model::write_safetensors(path, tensors);
}

StateReader::StateReader(model::SafetensorsFile file)
    : file_(std::make_unique<model::SafetensorsFile>(std::move(file))) {}
StateReader::StateReader(StateReader&&) noexcept = default;
StateReader& StateReader::operator=(StateReader&&) noexcept = default;
StateReader::~StateReader() = default;

StateReader StateReader::open(const fs::path& path, const Belonging& expected) {
  StateReader state(model::SafetensorsFile::open(path));
  const model::TensorInfo* const facts = state.file_->find(kFactsName);
  if (facts == nullptr || facts->dtype != model::DType::u8) refuse(path, "is no kept state of a training");
  const std::span<const std::byte> bytes = state.file_->bytes(*facts);
  try {
    const json read = json::parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    read.at("belongs_to").get_to(state.facts_.belongs_to);
    read.at("step").get_to(state.facts_.step);
    read.at("csv_bytes").get_to(state.facts_.csv_bytes);
    state.facts_.loop = read.at("loop");
    read.at("digests").get_to(state.digests_);
  } catch (const json::exception&) {
    refuse(path, "is a damaged state: its facts cannot be read");
  }
  if (const std::string different = differences(state.facts_.belongs_to, expected); !different.empty())
    refuse(path, fmt::format("was kept by another training, which differs in {}", different));
  return state;
}

void StateReader::read(const std::string& name, std::span<float> to) const {
  const fs::path& path = file_->path();
  const model::TensorInfo* const tensor = file_->find(name);
  const auto known = digests_.find(name);
  if (tensor == nullptr || known == digests_.end()) refuse(path, fmt::format("does not hold \"{}\"", name));
  const std::span<const std::byte> bytes = file_->bytes(*tensor);
  if (tensor->dtype != model::DType::f32 || bytes.size() != to.size_bytes())
    refuse(path, fmt::format("holds {} bytes of \"{}\", expected {} numbers", bytes.size(), name, to.size()));
  if (digest(bytes) != known->second) refuse(path, fmt::format("is damaged: \"{}\" is not as it was written", name));
  std::memcpy(to.data(), bytes.data(), bytes.size());
}

}  // namespace attnlab::training
