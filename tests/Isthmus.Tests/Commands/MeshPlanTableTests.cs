using Isthmus.Operate.MeshFile;
using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class MeshPlanTableTests
{
    [Fact]
    public void Few_objects_are_named() =>
        Assert.Equal("Namespace istio-system, Secret istio-system/cacerts", Objects("Namespace istio-system", "Secret istio-system/cacerts"));

    [Fact]
    public void Of_many_objects_the_Deployments_are_named_and_the_others_counted() => Assert.Equal(
        "Deployment istio-system/istiod and 40 more",
        Objects([.. Enumerable.Range(0, 40).Select(number => $"CustomResourceDefinition resource{number}.networking.istio.io"),
            "Deployment istio-system/istiod"]));

    [Fact]
    public void One_object_is_named_however_long_its_name_is() =>
        Assert.Equal($"Secret {new string('a', 100)} and 1 more", Objects($"Secret {new string('a', 100)}", "Secret b"));

    private static string Objects(params string[] names) =>
        MeshPlanTable.Objects([.. names.Select(name => new Change("cluster1", Part.Namespace, ChangeKind.Create, name, []))]);
}
