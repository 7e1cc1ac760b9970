using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Protobuf;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Protobuf;

public class ProtobufBodyTests
{
    private static readonly TypeSchema Deployment = BuiltInTypes.Find("apps/v1.Deployment")!;
    private static readonly TypeSchema Secret = BuiltInTypes.Find("core/v1.Secret")!;
    private static readonly TypeSchema Service = BuiltInTypes.Find("core/v1.Service")!;

    [Fact]
    public void A_secret_keeps_its_bytes()
    {
        var entry = new WireWriter().Text(1, "key").Bytes(2, [1, 2, 255]);
        var o = Read(Secret, Body("v1", "Secret", new WireWriter().Message(1, Named("s")).Message(2, entry).Text(3, "Opaque")));
        Assert.Equal("""{"metadata":{"name":"s"},"data":{"key":"AQL/"},"type":"Opaque","apiVersion":"v1","kind":"Secret"}""", o);
    }

    [Fact]
    public void Zeros_are_left_out_except_where_they_were_said()
    {
        // replicas is field 1 of the spec and a pointer in Go; minReadySeconds is field 5 and plain: Go writes its zero too.
        byte[] raw = [.. "\x08\x00\x28\x00"u8];
        var o = Read(Deployment, Body("apps/v1", "Deployment", new WireWriter().Message(1, Named("d")).Bytes(2, raw)));
        Assert.Equal("""{"metadata":{"name":"d"},"spec":{"replicas":0},"apiVersion":"apps/v1","kind":"Deployment"}""", o);
    }

    [Fact]
    public void Ports_are_numbers_or_names()
    {
        byte[] named = [0x08, 1, 0x10, 0, 0x1a, 4, .. "http"u8];
        byte[] numbered = [0x08, 0, 0x10, 80];
        var spec = new WireWriter().Message(1, new WireWriter().Text(1, "a").Bytes(4, named)).Message(1, new WireWriter().Text(1, "b").Bytes(4, numbered));
        var o = JsonNode.Parse(Read(Service, Body("v1", "Service", new WireWriter().Message(1, Named("s")).Message(2, spec))))!;
        Assert.Equal("""[{"name":"a","targetPort":"http"},{"name":"b","targetPort":80}]""", o["spec"]!["ports"]!.ToJsonString());
    }

    [Fact]
    public void Without_the_prefix_it_is_400() =>
        Assert.Equal(400, Assert.Throws<ApiException>(() => ProtobufBody.ToJson("{}"u8.ToArray(), Secret)).Code);

    [Fact]
    public void Every_truncation_is_an_object_or_400()
    {
        var spec = new WireWriter().Message(1, new WireWriter().Text(1, "http")).Text(3, "10.96.0.9");
        var whole = Body("v1", "Service", new WireWriter().Message(1, Named("s")).Message(2, spec));
        for (var length = 0; length < whole.Length; length++) Try(whole[..length]);
    }

    [Fact]
    public void Any_bytes_are_an_object_or_400() =>
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes => Try([.. "k8s\0"u8, 0x12, .. bytes ?? []]) && Try([.. "k8s\0"u8, .. bytes ?? []]))
            .MustHold(500);

    private static bool Try(byte[] body)
    {
        try
        {
            ProtobufBody.ToJson(body, Service);
        }
        catch (ApiException e)
        {
            Assert.Equal(400, e.Code);
        }
        return true;
    }

    private static WireWriter Named(string name) => new WireWriter().Text(1, name).Bytes(8, []);

    private static byte[] Body(string apiVersion, string kind, WireWriter raw) =>
        [.. "k8s\0"u8, .. new WireWriter().Message(1, new WireWriter().Text(1, apiVersion).Text(2, kind)).Message(2, raw).ToArray()];

    private static string Read(TypeSchema type, byte[] body) => Encoding.UTF8.GetString(ProtobufBody.ToJson(body, type));
}
