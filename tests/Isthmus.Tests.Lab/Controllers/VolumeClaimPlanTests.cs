using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;
using Isthmus.Lab.Controllers.Storage;
using Xunit;

namespace Isthmus.Tests.Lab.Controllers;

public sealed class VolumeClaimPlanTests
{
    private const string Claim = """
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data-db-0, namespace: shop, uid: c1}
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
        status: {phase: Pending}
        """;

    private const string Volume = """
        apiVersion: v1
        kind: PersistentVolume
        metadata: {name: pvc-c1, uid: v1}
        spec: {storageClassName: standard, claimRef: {namespace: shop, name: data-db-0, uid: c1}}
        """;

    [Fact]
    public void A_claim_is_bound_to_a_volume_of_its_own()
    {
        var plan = For(Claim);
        Assert.Equal(["Create PersistentVolume pvc-c1", "Patch PersistentVolume pvc-c1", "Patch PersistentVolumeClaim data-db-0",
            "Patch PersistentVolumeClaim data-db-0"],
            Verbs(plan));
        Assert.Equal("1Gi", (string?)plan.Writes[0].Body!["spec"]!["capacity"]!["storage"]);
        Assert.Equal(("pvc-c1", "standard"),
            ((string?)plan.Writes[2].Body!["spec"]!["volumeName"], (string?)plan.Writes[2].Body!["spec"]!["storageClassName"]));
        Assert.Equal("Bound", (string?)plan.Writes[3].Body!["status"]!["phase"]);
    }

    [Fact]
    public void A_binding_that_was_interrupted_is_finished_and_not_told_again()
    {
        var plan = For(Claim, Volume);
        Assert.DoesNotContain(Verbs(plan), verb => verb.StartsWith("Create", StringComparison.Ordinal));
        Assert.Empty(plan.Notes);
    }

    [Fact]
    public void A_bound_claim_needs_nothing() => Assert.Empty(For(Claim.Replace("Pending", "Bound"), Volume).Writes);

    [Fact]
    public void A_class_that_nobody_provides_is_told_and_the_claim_waits()
    {
        var plan = For(Claim.Replace("spec: {", "spec: {storageClassName: fast, "));
        Assert.Empty(plan.Writes);
        Assert.Contains("\"fast\" not found", Assert.Single(plan.Notes).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_volume_goes_with_its_claim_when_the_last_Pod_has_left_it()
    {
        var waiting = VolumeClaimPlan.For(null, PlanText.Read<PersistentVolume>(Volume, "PersistentVolume"), used: true);
        Assert.Empty(waiting.Writes);
        Assert.NotNull(waiting.Again);
        Assert.Equal(["Delete PersistentVolume pvc-c1"],
            Verbs(VolumeClaimPlan.For(null, PlanText.Read<PersistentVolume>(Volume, "PersistentVolume"), used: false)));
    }

    [Fact]
    public void A_new_claim_of_an_old_name_does_not_get_the_old_ones_volume() =>
        Assert.Equal("Delete PersistentVolume pvc-c1", Verbs(For(Claim.Replace("uid: c1", "uid: c2"), Volume))[0]);

    private static Plan For(string claim, string volume = "") =>
        VolumeClaimPlan.For(PlanText.Read<PersistentVolumeClaim>(claim, "PersistentVolumeClaim").Single(),
            volume.Length == 0 ? [] : PlanText.Read<PersistentVolume>(volume, "PersistentVolume"), used: false);

    private static List<string> Verbs(Plan plan) => [.. plan.Writes.Select(write => $"{write.Verb} {write.Kind.Kind} {write.Name}")];
}
