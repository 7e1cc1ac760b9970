using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer;

/// <summary>A store in its own directory, with a clock that tests advance.</summary>
internal sealed class StoreRig : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-store-").FullName;

    public StoreRig()
    {
        Objects = new ObjectStore(Path.Combine(_directory, "state.db"), false);
        Context = new(new("east", _directory, "172.18.0.2"), new KindRegistry(), Objects, Clock, new Random(7));
        Context.Kinds.Add(BuiltInKinds.Create((group, kind) => Composition.Strategy(Context, group, kind)));
        Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    }

    public ObjectStore Objects { get; }

    public ApiServerContext Context { get; }

    public MovingClock Clock { get; } = new();

    public ECDsa Key { get; }

    /// <summary>Stores an object unchanged, with a uid.</summary>
    public async Task<StoredObject> PutAsync(GroupResource resource, string json)
    {
        var o = (JsonObject)JsonNode.Parse(json)!;
        var metadata = (JsonObject)o["metadata"]!;
        metadata["uid"] ??= Guid.NewGuid().ToString();
        o["kind"] ??= "Any";
        o["apiVersion"] ??= "v1";
        return await Objects.CreateAsync(resource, o, default) ?? throw new InvalidOperationException("the name is taken");
    }

    public async Task DeleteAsync(GroupResource resource, string ns, string name) =>
        Assert.NotNull(await Objects.DeleteAsync(resource, Objects.Find(resource, ns, name)!, null, default));

    public KindDescriptor Kind(string group, string version, string plural) => Context.Kinds.Find(group, version, plural)!;

    public WriteContext Write(KindDescriptor kind, bool dryRun = false) => new(kind, "", Users.Admin, dryRun, []);

    public AdmissionRequest Request(KindDescriptor kind, string operation, JsonObject? o, UserIdentity? user = null, string ns = "n") => new()
    {
        Attributes = new(user ?? Users.Admin, "create", kind.Group, kind.Version, kind.Plural, "", kind.Namespaced ? ns : "",
            Json.Text(o.At("metadata", "name")), "", true),
        Kind = kind,
        Operation = operation,
        Object = o,
        Options = [],
    };

    public void Dispose()
    {
        Objects.Dispose();
        Key.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}

internal static class Users
{
    public static readonly UserIdentity Admin = Named("admin", "system:masters", "system:authenticated");

    public static UserIdentity Named(string name, params string[] groups) => new(name, "", groups.ToValueList(), default);

    public static RequestAttributes Asks(this UserIdentity user, string verb, string resource, string ns = "", string group = "", string name = "",
        string subresource = "") =>
        new(user, verb, group, "v1", resource, subresource, ns, name, "", true);
}

internal sealed class MovingClock : TimeProvider
{
    public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow() => Now;
}
