#include "linear/leading_vectors.h"

#include "base/require.h"
#include "core/profiler_range.h"
#include "operations.h"

namespace sartor::cuda {

void leading_vectors(Context& context, const LeadingVectorsTask& task) {
  const auto& vectors = task.vectors;
  require(task.transposed.rows == vectors.rows, "leading_vectors: transposed has {} rows, vectors {}",
          task.transposed.rows, vectors.rows);
  require(1 <= vectors.columns && vectors.columns <= vectors.rows, "leading_vectors: {} vectors, expected 1 to {}",
          vectors.columns, vectors.rows);
  require(task.oversampling >= 0, "leading_vectors: oversampling is {}, expected 0 or more", task.oversampling);
  require(task.iterations >= 1, "leading_vectors: iterations is {}, expected 1 or more", task.iterations);
  require(!context.is_gpu(), "leading_vectors: runs on CPUs only for now");
  const ProfilerRange range("leading_vectors");
  context.operations().leading_vectors(context, task);
}

}  // namespace sartor::cuda
