#include "ops/onednn_product.h"

#include <omp.h>

#include <array>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>
#include "base/pages.h"

namespace attnlab {
namespace {

using Shape = std::array<std::int64_t, 6>;  // tokens, in_dim, outputs, three strides

struct Product {
  dnnl::memory::desc input, weights, out, scratchpad;
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
    const auto [tokens, in_dim, outputs, input_stride, panel_stride, out_stride] = shape;
    const auto f32 = dnnl::memory::data_type::f32;
    const dnnl::memory::desc input({tokens, in_dim}, f32, dnnl::memory::dims{input_stride, 1});
    const dnnl::memory::desc weights({in_dim, outputs}, f32, dnnl::memory::dims{panel_stride, 1});
    const dnnl::memory::desc out({tokens, outputs}, f32, dnnl::memory::dims{out_stride, 1});
    // A scratchpad of the library's own belongs to the thread that made the primitive; ours belongs to the task.
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(input, weights, out), attributes, engine);
    return by_shape
        .emplace(shape, Product{input, weights, out, description.scratchpad_desc(), dnnl::matmul(description)})
        .first->second;
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

}  // namespace

void onednn_product(const BlockProduct& p) {
  dnnl::stream& stream = thread_stream();
  const Product& product =
      products().get({p.tokens, p.in_dim, p.outputs, p.input_stride, p.panel_stride, p.out_stride});
  const dnnl::engine& engine = products().engine;
  thread_local Pages scratchpad;
  if (scratchpad.size() < product.scratchpad.get_size()) scratchpad = Pages(product.scratchpad.get_size());
  // const_cast: oneDNN's handles are not const; source and weights are only read.
  product.primitive.execute(stream,
                            {{DNNL_ARG_SRC, dnnl::memory(product.input, engine, const_cast<float*>(p.input))},
                             {DNNL_ARG_WEIGHTS, dnnl::memory(product.weights, engine, const_cast<float*>(p.panel))},
                             {DNNL_ARG_DST, dnnl::memory(product.out, engine, p.out)},
                             {DNNL_ARG_SCRATCHPAD, dnnl::memory(product.scratchpad, engine, scratchpad.data())}});
}

void onednn_dense_product(const DenseProduct& p) {
  thread_stream();  // one thread from here on, although no primitive runs in the stream
  const dnnl::status status =
      dnnl::sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.rows, p.columns, p.depth, 1.0F, p.a,
                  p.a_stride, p.b, p.b_stride, p.accumulate ? 1.0F : 0.0F, p.out, p.out_stride);
  ATTNLAB_CHECK(status == dnnl::status::success, "oneDNN refused a product");
}

}  // namespace attnlab
