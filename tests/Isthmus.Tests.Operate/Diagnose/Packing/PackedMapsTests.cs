using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.Diagnose.Packing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose.Packing;

public sealed class PackedMapsTests
{
    [Theory]
    [InlineData("ca", "{ca.crt: C}", true, "C")]
    [InlineData("kube-root-ca.crt", "{ca.crt: C}", false, "")]
    [InlineData("both", "{ca.crt: C, password: P}", false, "")]
    [InlineData("settings", "{deployment: 'password: P'}", true, "")]
    [InlineData("app", "{password: P}", false, "")]
    [InlineData("istio", "{mesh: 'trustDomain: a'}", true, "trustDomain: a")]
    public void A_pack_has_what_Gateways_name_and_nothing_that_could_be_secret(string name, string data, bool isNeeded, string value)
    {
        var map = (JsonObject)YamlText.Parse($"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: shop}}, data: {data}}}", "test")!;
        Assert.Equal(isNeeded, PackedMaps.IsNeeded(map));
        if (isNeeded) Assert.Equal(value, PackedMaps.Trimmed(map)["data"]!.AsObject().Single().Value!.ToString());
    }
}
