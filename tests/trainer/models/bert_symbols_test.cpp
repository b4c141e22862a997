#include "support/isa_symbols.h"

namespace sartor::bert {
namespace {

TEST(BertIsaObjects, DefineOnlyTheirOwnNamespace) {
  sartor::testing::expect_own_symbols(SARTOR_ISA_OBJECTS_v3, "6sartor4bert2v3");
  sartor::testing::expect_own_symbols(SARTOR_ISA_OBJECTS_v4, "6sartor4bert2v4");
}

}  // namespace
}  // namespace sartor::bert
