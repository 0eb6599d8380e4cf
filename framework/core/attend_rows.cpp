#include "core/attend_rows.h"

#include <algorithm>
#include <vector>

#include "core/attend_work.h"
#include "core/row_block.h"
#include "parallel/parallel.h"

namespace attnlab {

void attend_rows(const AttendArgs& args, TensorView<float, 3> out, TensorView<float, 2> log_sum, AttendTime* time) {
  if (QuerySink* queries = args.source.query_sink()) queries->add(args.chunk, args.queries);
  const int kv_heads = args.source.shape().kv_heads;
  const int together = heads_together(args);
  AttendMass mass(args, static_cast<int>(args.queries.extent(1)) / kv_heads);
  std::vector<RowTask> tasks;
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence) {
    const int tokens = args.chunk.tokens_of(sequence);
    if (tokens == 0) continue;
    for (int head = 0; head < kv_heads; head += together) {
      const int block = queries_of_block(args, sequence, head, together);
      for (int first = 0; first < tokens; first += block)
        tasks.push_back({sequence, head, together, first, std::min(block, tokens - first),
                         args.row_weighting != nullptr
                             ? -1
                             : mass.plan_weights({sequence, head, first, std::min(block, tokens - first)},
                                                 args.source.tiles(sequence, head))});
    }
  }
  thread_local Scratch of_mass;
  const Scratch::Scope scope_of_mass(of_mass);
  mass.allocate(of_mass);
  parallel_for(static_cast<int>(tasks.size()), attend_work(args), [&](int index, WorkerSlot) {
    thread_local Scratch scratch;
    const Scratch::Scope scope(scratch);
    RowBlock(args, tasks[index], scratch).answer(out, log_sum, mass);
  });
  mass.deliver();
  if (time != nullptr) time->mass_thread_seconds += mass.thread_seconds();
}

}  // namespace attnlab
