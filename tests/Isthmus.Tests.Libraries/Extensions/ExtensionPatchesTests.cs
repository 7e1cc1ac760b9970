using Isthmus.Core.Collections;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Extensions;

public sealed class ExtensionPatchesTests
{
    private const string Filter = """{"name": "marks"}""";

    private const string Config = """
        {"name": "marks", "typed_config": {"@type": "type.googleapis.com/xds.type.v3.TypedStruct", "type_url": "t/a.Lua", "value": {"inline_code": "$"} } }
        """;

    [Fact]
    public void The_last_of_one_name_counts()
    {
        var added = Assert.Single(ExtensionPatches.Added([Patch(PatchTarget.HttpFilter, Filter), Extension("early"), Extension("late")]));
        Assert.Contains("late", added.TypedConfig.Value.ToStringUtf8(), StringComparison.Ordinal);
    }

    /// <summary>Each proxy that connects asks.</summary>
    [Fact]
    public void Without_such_patches_it_costs_nothing()
    {
        ValueList<EnvoyPatch> patches = [Patch(PatchTarget.HttpFilter, Filter), Patch(PatchTarget.Listener, Filter)];
        Assert.Equal(0, Allocations.Least(() => ExtensionPatches.Added(patches)));
        Assert.Equal(0, Allocations.Least(() => ExtensionPatches.Added(default)));
    }

    private static EnvoyPatch Extension(string code) => Patch(PatchTarget.ExtensionConfig, Config.Replace("$", code, StringComparison.Ordinal));

    private static EnvoyPatch Patch(PatchTarget target, string json) =>
        new(target, PatchContext.Any, PatchOperation.Add, new("", default), new("envoy.config.core.v3.TypedExtensionConfig", json));
}
