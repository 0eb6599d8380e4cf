#include "ops/onednn_product.h"

#include <omp.h>

#include <compare>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "base/pages.h"

namespace attnlab {
namespace {

// Rows, columns, depth; strides from row to row and from column to column of both sides, from row to row of the output.
struct Shape {
  std::int64_t rows, columns, depth;
  std::int64_t a_row, a_column, b_row, b_column, out_row;
  bool is_bf16, accumulates;
  auto operator<=>(const Shape&) const = default;
};

struct Product {
  dnnl::memory::desc a, b, out, scratchpad;
  dnnl::matmul primitive;
};

// Shared by all threads and never destroyed: worker threads may outlive the statics of main.
struct Products {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::shared_mutex mutex;
  std::map<Shape, Product> by_shape;

  const Product& get(const Shape& shape) {
    {
      const std::shared_lock lock(mutex);
      if (const auto found = by_shape.find(shape); found != by_shape.end()) return found->second;
    }
    const std::unique_lock lock(mutex);
    if (const auto found = by_shape.find(shape); found != by_shape.end()) return found->second;
    return by_shape.emplace(shape, make(shape)).first->second;
  }

  [[nodiscard]] Product make(const Shape& shape) const {
    const auto f32 = dnnl::memory::data_type::f32;
    const auto type = shape.is_bf16 ? dnnl::memory::data_type::bf16 : f32;
    const dnnl::memory::desc a({shape.rows, shape.depth}, type, dnnl::memory::dims{shape.a_row, shape.a_column});
    const dnnl::memory::desc b({shape.depth, shape.columns}, type, dnnl::memory::dims{shape.b_row, shape.b_column});
    const dnnl::memory::desc out({shape.rows, shape.columns}, f32, dnnl::memory::dims{shape.out_row, 1});
    // A scratchpad of the library's own belongs to the thread that made the primitive; ours belongs to the task.
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (shape.accumulates) {
      dnnl::post_ops after;
      after.append_sum(1.0F);
      attributes.set_post_ops(after);
    }
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, out), attributes, engine);
    return {a, b, out, description.scratchpad_desc(), dnnl::matmul(description)};
  }
};

Products& products() {
  static Products& kept = *new Products;
  return kept;
}

// Debian's oneDNN is built for OpenMP; inside a task of ours it must not start a team of its own. The number is an
// attribute of the calling thread.
dnnl::stream& thread_stream() {
  thread_local dnnl::stream stream = [] {
    omp_set_num_threads(1);
    return dnnl::stream(products().engine);
  }();
  return stream;
}

void execute(const Product& product, const void* a, const void* b, float* out) {
  dnnl::stream& stream = thread_stream();
  const dnnl::engine& engine = products().engine;
  thread_local Pages scratchpad;
  if (scratchpad.size() < product.scratchpad.get_size()) scratchpad = Pages(product.scratchpad.get_size());
  // const_cast: oneDNN's handles are not const; both sides are only read.
  product.primitive.execute(stream,
                            {{DNNL_ARG_SRC, dnnl::memory(product.a, engine, const_cast<void*>(a))},
                             {DNNL_ARG_WEIGHTS, dnnl::memory(product.b, engine, const_cast<void*>(b))},
                             {DNNL_ARG_DST, dnnl::memory(product.out, engine, out)},
                             {DNNL_ARG_SCRATCHPAD, dnnl::memory(product.scratchpad, engine, scratchpad.data())}});
}

}  // namespace

void onednn_product(const BlockProduct& p) {
  const Shape shape{.rows = p.tokens,
                    .columns = p.outputs,
                    .depth = p.in_dim,
                    .a_row = p.input_stride,
                    .a_column = 1,
                    .b_row = p.panel_stride,
                    .b_column = 1,
                    .out_row = p.out_stride,
                    .is_bf16 = false,
                    .accumulates = false};
  execute(products().get(shape), p.input, p.panel, p.out);
}

void onednn_bf16_product(const Bf16Product& p) {
  const Shape shape{.rows = p.rows,
                    .columns = p.columns,
                    .depth = p.depth,
                    .a_row = p.a_row,
                    .a_column = p.a_column,
                    .b_row = p.b_row,
                    .b_column = p.b_column,
                    .out_row = p.out_stride,
                    .is_bf16 = true,
                    .accumulates = p.accumulate};
  if (p.is_kept)
    execute(products().get(shape), p.a, p.b, p.out);
  else
    execute(products().make(shape), p.a, p.b, p.out);
}

bool has_bf16_products() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_amx:
      return true;
    default:
      return false;
  }
}

void onednn_dense_product(const DenseProduct& p) {
  thread_stream();  // one thread from here on, although no primitive runs in the stream
  const dnnl::status status =
      dnnl::sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.rows, p.columns, p.depth, 1.0F, p.a,
                  p.a_stride, p.b, p.b_stride, p.accumulate ? 1.0F : 0.0F, p.out, p.out_stride);
  ATTNLAB_CHECK(status == dnnl::status::success, "oneDNN refused a product");
}

}  // namespace attnlab
