// Inner loops of linkage on the CPU, compiled once per instruction set.
#pragma once

#include <cstdint>

#include "clustering/linkage.h"

namespace sartor::cuda {

constexpr int64_t linkage_panel = 32;  // rows of a panel (d, linkage_panel), which has the columns of as many rows

struct LinkageKernels {
  // Squared distances (count, linkage_panel) of rows x (count, d) and a panel.
  void (*squares)(const double* x, int64_t count, int64_t d, const float* panel, double* squares, int64_t stride);

  // Index of the first minimum of values[i] + penalties[i] that is below `best`, which becomes the minimum; -1 if there
  // is none.
  int64_t (*first_minimum)(const double* values, const double* penalties, int64_t count, double& best);

  // Replaces the distances of cluster y to all others by those of the union with x; `distance` is that of x and y.
  // Distances are squared, except those of average linkage.
  void (*unite)(Linkage method, const double* x, double* y, const double* sizes, int64_t count, double x_size,
                double y_size, double distance);

  // nearest[i] = min(nearest[i], values[i])
  void (*lower)(const double* values, int64_t count, double* nearest);
};

namespace v3 {
extern const LinkageKernels linkage_kernels;
}
namespace v4 {
extern const LinkageKernels linkage_kernels;
}

}  // namespace sartor::cuda
