// The environment must be complete enough to repeat a run, and must say the same after a round trip through its file.
// No test here asserts a speed: probes only have to be numbers.
#include "machine/environment.h"

#include <gtest/gtest.h>

#include <cmath>

#include <attnlab/error.h>

#include "base/sha256.h"
#include "machine/memory.h"
#include "ops/onednn_product.h"
#include "ops/probe_kernels.h"
#include "unit/report_samples.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;
using report::test::Folder;
using report::test::write_plainly;

TEST(Environment, DescribesThisMachineAndBuild) {
  const Environment environment = read_environment(3, {});
  EXPECT_FALSE(environment.cpu.empty());
  EXPECT_FALSE(environment.simd_target.empty());
  EXPECT_GE(environment.logical_cores, 1);
  EXPECT_EQ(environment.threads, 3);
  EXPECT_GT(environment.memory_bytes, 0);
  EXPECT_TRUE(environment.kernel.starts_with("Linux ")) << environment.kernel;
  EXPECT_FALSE(environment.build.compiler.empty());
  EXPECT_FALSE(environment.build.build_type.empty());
  EXPECT_NE(environment.build.libraries.find("highway 1."), std::string::npos) << environment.build.libraries;
  EXPECT_TRUE(environment.roof.probes.empty());
}

TEST(Environment, NamesPluginsByFileAndHashWithoutTheirFolder) {
  const Folder folder;
  write_plainly(folder / "gqa.so", "not really an object");
  const Environment environment = read_environment(1, {folder / "gqa.so"});
  ASSERT_EQ(environment.plugins.size(), 1u);
  EXPECT_EQ(environment.plugins[0].file, "gqa.so");
  EXPECT_EQ(environment.plugins[0].sha256, sha256_of_text("not really an object"));
  EXPECT_EQ(nlohmann::json(environment).dump().find(folder.path().string()), std::string::npos);
  EXPECT_THROW(static_cast<void>(read_environment(1, {folder / "gone.so"})), Error);
}

TEST(Roof, KeepsTheBestOfEachFigureAndEveryProbe) {
  Roof roof;
  roof.include({10, 5, 100});
  roof.include({8, 7, 200, 30});
  roof.include({9, 6, 300});
  EXPECT_EQ(roof.best, (RoofProbe{10, 7, 200, 30}));
  EXPECT_EQ(roof.probes.size(), 3u);
}

TEST(Roof, ComesBackFromTheFileOfAnEnvironment) {
  Environment written = read_environment(2, {});
  written.roof.include({1.5e11, 3e10, 1 << 28});
  written.roof.include({1.25e11, 3.5e10, 1 << 29, 5e11});
  const nlohmann::json json = nlohmann::json::parse(nlohmann::json(written).dump());
  const auto read = json.at("roof").get<Roof>();
  EXPECT_EQ(read.best, written.roof.best);
  EXPECT_EQ(read.probes, written.roof.probes);
}

TEST(Roof, ProbesAreFiniteAndPositiveForAnyThreadCount) {
  for (const int threads : {1, 2, 5}) {
    const double flops = measure_fma(threads, 0.01);
    const double bytes = measure_read(threads, 0.01, 4 << 20);
    const double share = measure_processor_share(threads, 0.01);
    EXPECT_GT(share, 0);
    EXPECT_LE(share, 1);
    EXPECT_TRUE(std::isfinite(flops) && flops > 0) << threads;
    EXPECT_TRUE(std::isfinite(bytes) && bytes > 0) << threads;
    const double bf16 = measure_bf16(threads, 0.01);
    EXPECT_EQ(bf16 > 0, has_bf16_products()) << threads;
    EXPECT_TRUE(std::isfinite(bf16)) << threads;
  }
}

TEST(Roof, ReadsOverMoreThanTheCachesAndLeavesMemoryFree) {
  const std::int64_t bytes = read_buffer_bytes(2);
  EXPECT_GT(bytes, 0);
  EXPECT_LE(bytes, std::max<std::int64_t>(total_memory_bytes() / 4, 4096));
  EXPECT_EQ(bytes % 4096, 0);
}

TEST(ProbeKernels, ReadEveryByteWhateverTheStreams) {
  constexpr std::size_t kBytes = 4 * kProbeGranule;
  alignas(kProbeGranule) static std::byte memory[kBytes];
  for (const int streams : {1, 2, 4}) {
    const ProbeWork zeros = probe_read(memory, streams);
    EXPECT_EQ(zeros.amount, double{kBytes});
    EXPECT_EQ(zeros.witness, 0u);
    for (std::size_t i = 0; i < kBytes; i += 509) {
      memory[i] = std::byte{1};
      EXPECT_NE(probe_read(memory, streams).witness, 0u) << i << " of " << streams;
      memory[i] = std::byte{0};
    }
  }
}

TEST(ProbeKernels, CountOperationsInProportionToTheRounds) {
  const double one = probe_multiply_adds(1).amount;
  EXPECT_GE(one, 2 * 12);
  EXPECT_EQ(probe_multiply_adds(1000).amount, 1000 * one);
}

void write_cache(const fs::path& cpu, int index, const std::string& level, const std::string& type,
                 const std::string& size, const std::string& shared) {
  const fs::path folder = cpu / "cache" / ("index" + std::to_string(index));
  fs::create_directories(folder);
  write_plainly(folder / "level", level + "\n");
  write_plainly(folder / "type", type + "\n");
  write_plainly(folder / "size", size + "\n");
  write_plainly(folder / "shared_cpu_list", shared + "\n");
}

TEST(CacheSizes, AreReadFromSysfsPerInstance) {
  const Folder folder;
  for (int cpu = 0; cpu < 4; ++cpu) {
    const fs::path path = folder / ("cpu" + std::to_string(cpu));
    write_cache(path, 0, "1", "Data", "32K", std::to_string(cpu));
    write_cache(path, 1, "1", "Instruction", "64K", std::to_string(cpu));
    write_cache(path, 2, "2", "Unified", "1024K", std::to_string(cpu));
    write_cache(path, 3, "3", "Unified", "32M", cpu < 2 ? "0-1" : "2-3");
  }
  fs::create_directories(folder / "cpufreq");
  const auto sizes = cache_sizes_of_sysfs(folder.path());
  ASSERT_TRUE(sizes);
  EXPECT_EQ(sizes->l1d_bytes, 32 << 10);
  EXPECT_EQ(sizes->l2_bytes, 1 << 20);
  EXPECT_EQ(sizes->l3_bytes, 32 << 20);
  EXPECT_EQ(sizes->l3_instances, 2);
  EXPECT_EQ(sizes->source, "sysfs");
}

TEST(CacheSizes, AreNothingWhereSysfsIsEmptyAndKnownByOtherMeans) {
  const Folder folder;
  fs::create_directories(folder / "cpu0");
  EXPECT_FALSE(cache_sizes_of_sysfs(folder.path()));
  EXPECT_FALSE(cache_sizes_of_sysfs(folder / "gone"));
  const CacheSizes sizes = cache_sizes(2);
  EXPECT_FALSE(sizes.source.empty());
  EXPECT_GE(sizes.l3_instances, 1);
}

TEST(Memory, LimitIsBetweenNothingAndAll) {
  EXPECT_GT(total_memory_bytes(), 0);
  EXPECT_GT(memory_limit_bytes(), 0);
  EXPECT_LE(memory_limit_bytes(), total_memory_bytes());
}

}  // namespace
}  // namespace attnlab::experiment
