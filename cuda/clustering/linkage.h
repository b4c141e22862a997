// Agglomerative clustering: merges the two nearest clusters until one is left.
#pragma once

#include <cstdint>

#include "core/context.h"
#include "core/views.h"

namespace sartor::cuda {

// Distance of two clusters: of their nearest rows, of their farthest rows, the mean over all pairs of rows, or Ward's:
// sqrt(2 |a| |b| / (|a| + |b|)) times the distance of their means.
enum class Linkage { single, complete, average, ward };

// Row of the linkage matrix of scipy.cluster.hierarchy. Cluster i < N is row i, and N + i the cluster of merge i.
struct Merge {
  double first, second;  // merged clusters, first < second
  double distance;
  double size;  // rows of the new cluster

  bool operator==(const Merge&) const = default;
};

// Arguments of linkage. All arrays are in host memory.
struct LinkageTask {
  Rows<const float> rows;  // (N, d)
  Linkage method;
  Merge* merges;  // (N - 1), overwritten: by ascending distance
};

// Bytes of scratch memory.
int64_t linkage_bytes(Linkage method, int64_t rows, int64_t columns);

// Hierarchical clustering by Euclidean distances, in fp64. Equal distances are resolved as in SciPy. Single linkage
// grows a minimum spanning tree (Prim) in O(N d) memory; the others follow chains of nearest neighbors (Muellner 2011)
// with the matrix of distances, 8 N^2 bytes, which is updated by the formulas of Lance and Williams. Both take O(N^2)
// time. The result does not depend on the number of threads, which compute the distances. Runs on CPUs only.
void linkage(Context& context, const LinkageTask& task);

}  // namespace sartor::cuda
