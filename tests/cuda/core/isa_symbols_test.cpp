#include "support/isa_symbols.h"

namespace sartor::cuda {
namespace {

TEST(IsaObjects, DefineOnlyTheirOwnNamespace) {
  sartor::testing::expect_own_symbols(SARTOR_ISA_OBJECTS_v3, "6sartor4cuda2v3");
  sartor::testing::expect_own_symbols(SARTOR_ISA_OBJECTS_v4, "6sartor4cuda2v4");
  sartor::testing::expect_own_symbols(SARTOR_ISA_OBJECTS_v4_vnni, "6sartor4cuda7v4_vnni");
}

}  // namespace
}  // namespace sartor::cuda
