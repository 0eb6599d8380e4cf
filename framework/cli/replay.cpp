// attnlab replay: recorded q, k, v of one attention layer through a position scheme, a cache policy and the core.
#include <fmt/format.h>

#include "assembly/replay.h"
#include "cli/command.h"
#include "model/checkpoints/safetensors.h"
#include "parallel/parallel.h"

namespace attnlab::cli {
namespace {

struct ReplayOptions {
  std::filesystem::path streams, out;
  std::string cache, position;
  std::vector<std::string> plugins;
  int prefill = 0;
  int threads = 0;
};

int replay(const ReplayOptions& options) {
  if (options.threads > 0) set_threads(options.threads);
  const std::vector<std::filesystem::path> plugins(options.plugins.begin(), options.plugins.end());
  const Registry registry = Registry::standard(plugins);
  const experiment::Replayed result =
      experiment::replay(options.streams, registry, options.cache, options.position, options.prefill);
  const model::OutputTensor tensors[] = {{.name = "out",
                                          .dtype = model::DType::f32,
                                          .shape = result.out_shape,
                                          .bytes = std::as_bytes(std::span(result.out))},
                                         {.name = "kept",
                                          .dtype = model::DType::u8,
                                          .shape = result.kept_shape,
                                          .bytes = std::as_bytes(std::span(result.kept))},
                                         {.name = "k_end",
                                          .dtype = model::DType::f32,
                                          .shape = result.rows_shape,
                                          .bytes = std::as_bytes(std::span(result.keys))},
                                         {.name = "v_end",
                                          .dtype = model::DType::f32,
                                          .shape = result.rows_shape,
                                          .bytes = std::as_bytes(std::span(result.values))}};
  model::write_safetensors(options.out, tensors);
  return kAllWell;
}

}  // namespace

void add_replay(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("replay", "Recorded q, k, v through position, cache policy and core");
  auto options = std::make_shared<ReplayOptions>();
  command->add_option("STREAMS", options->streams, "Safetensors with q [T, H, d], k and v [T, G, d], not rotated")
      ->required();
  command->add_option("--cache", options->cache, "Cache policy")->required();
  command->add_option("--position", options->position,
                      fmt::format("Position scheme; default: {}", experiment::kNoPosition));
  command->add_option("--prefill", options->prefill, "Tokens of the prompt; the rest is decoded one at a time")
      ->required()
      ->check(CLI::Range(1, 1 << 30));
  command->add_option("--plugin", options->plugins, "A plugin file or folder beside those of the build");
  command->add_option("--threads", options->threads, "Threads; default: all processors")->check(CLI::Range(1, 1024));
  command->add_option("-o,--out", options->out, "The file to write")->required();
  command->callback([=, &run] { run = [=] { return replay(*options); }; });
}

}  // namespace attnlab::cli
