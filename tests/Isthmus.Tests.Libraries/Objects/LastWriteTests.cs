using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Xunit;

namespace Isthmus.Tests.Libraries.Objects;

public sealed class LastWriteTests
{
    [Theory]
    [InlineData(
        """
            [{"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:manager": {}}}},
              {"manager": "helm", "time": "2026-01-02T00:00:00Z"}]
            """,
        "helm", 2)]
    [InlineData("""[{"manager": "helm", "time": "2026-01-02T00:00:00Z"}, {"manager": "kubectl", "time": "2026-01-01T00:00:00Z"}]""", "helm", 2)]
    [InlineData(
        """[{"manager": "kubectl", "time": "2026-01-01T00:00:00Z"}, {"manager": "controller", "time": "2026-01-03T00:00:00Z", "subresource": "status"}]""",
        "kubectl", 1)]
    [InlineData("""[]""", null, 0)]
    [InlineData("""null""", null, 0)]
    [InlineData("""[7, {"manager": 3}, {}]""", null, 0)]
    public void The_latest_writer_of_the_object_itself_counts(string fields, string? manager, int day)
    {
        var text = "{\"metadata\": {\"name\": \"a\", \"managedFields\": " + fields + ", \"namespace\": \"b\"}}";
        var read = JsonSerializer.Deserialize(Encoding.UTF8.GetBytes(text), KubeJson.Of<Service>())!;
        var expected = new LastWrite(manager, day == 0 ? null : new DateTimeOffset(2026, 1, day, 0, 0, 0, TimeSpan.Zero));
        Assert.Equal(("a", "b", expected), (read.Metadata.Name, read.Metadata.Namespace, read.Metadata.LastWrite));
        var tree = (JsonObject)JsonNode.Parse(text)!;
        if (!fields.Contains('7', StringComparison.Ordinal)) Assert.Equal(expected, LastWrite.Of(tree));
    }
}
