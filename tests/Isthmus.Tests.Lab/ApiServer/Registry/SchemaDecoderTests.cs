using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Registry;

public class SchemaDecoderTests
{
    private static readonly TypeSchema Pod = BuiltInTypes.Find("core/v1.Pod")!;
    private static readonly TypeSchema Lease = BuiltInTypes.Find("coordination/v1.Lease")!;

    [Fact]
    public void Unknown_and_duplicate_fields_are_dropped_and_named()
    {
        var problems = new List<string>();
        var o = SchemaDecoder.Decode(
            """{"kind":"Pod","metadata":{"name":"a","nme":"b"},"spec":{"containers":[{"name":"c","imag":"x"}],"nodeName":"1","nodeName":"2"}}"""u8,
            Pod, problems);
        Assert.Equal(["unknown field \"metadata.nme\"", "unknown field \"spec.containers[0].imag\"", "duplicate field \"spec.nodeName\""], problems);
        Assert.Equal("""{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c"}],"nodeName":"2"}}""", o.ToJsonString());
    }

    [Theory]
    [InlineData("""{"spec":{"nodeName":1}}""", "json: cannot unmarshal number into Go struct field Pod.spec.nodeName of type string")]
    [InlineData("""{"spec":{"containers":{}}}""", "cannot unmarshal object into Go struct field Pod.spec.containers of type []v1.Container")]
    [InlineData("""{"spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}""", "of type int32")]
    [InlineData("""{"spec":{"containers":[{"resources":{"requests":{"cpu":"lots"}}}]}}""", "quantities must match the regular expression")]
    [InlineData("""{"metadata":{"creationTimestamp":"yesterday"}}""", "parsing time \"yesterday\"")]
    public void Wrong_types_are_refused_with_their_path(string json, string says) =>
        Assert.Contains(says, Assert.Throws<DecodeException>(() => SchemaDecoder.Decode(Encoding.UTF8.GetBytes(json), Pod, [])).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Micro_times_have_six_decimals()
    {
        Assert.Equal("2026-01-01T00:00:00.120000Z",
            (string?)SchemaDecoder.Decode("""{"spec":{"renewTime":"2026-01-01T01:00:00.120000+01:00"}}"""u8, Lease, [])["spec"]!["renewTime"]);
        Assert.Throws<DecodeException>(() => SchemaDecoder.Decode("""{"spec":{"renewTime":"2026-01-01T00:00:00Z"}}"""u8, Lease, []));
    }

    [Fact]
    public void Decoding_what_was_decoded_changes_nothing()
    {
        const string json =
            """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"x":"y"},"creationTimestamp":"2026-01-01T00:00:00Z"}"""
                + ""","spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"100m"}},"livenessProbe":{"httpGet":{"port":"http"}}}]"""
                + ""","volumes":[{"name":"v","emptyDir":{}}]},"status":{"phase":"Pending"}}""";
        var problems = new List<string>();
        Assert.Equal(json, SchemaDecoder.Decode(Encoding.UTF8.GetBytes(json), Pod, problems).ToJsonString());
        Assert.Empty(problems);
    }

    [Fact]
    public void Bytes_that_are_not_a_pod_are_refused_and_nothing_else_happens()
    {
        var valid = """{"metadata":{"name":"a","labels":{"x":"y"}},"spec":{"containers":[{"name":"c","ports":[{"containerPort":80}]}]}}"""u8.ToArray();
        var damaged = from at in Gen.Choose(0, valid.Length - 1)
            from with in Gen.Elements((byte)'{', (byte)'}', (byte)'"', (byte)'1', (byte)'[', (byte)',', (byte)0xff, (byte)'n')
            select (at, with);
        Prop.ForAll(Gen.ListOf(damaged).ToArbitrary(), damages =>
        {
            var bytes = valid.ToArray();
            foreach (var (at, with) in damages) bytes[at] = with;
            try
            {
                SchemaDecoder.Decode(bytes, Pod, []);
            }
            catch (Exception e) when (e is JsonException or DecodeException or InvalidOperationException)
            {
                return true;
            }
            return true;
        }).MustHold(500);
    }
}
