################################################################################
#
# koboshi
#
################################################################################

# SPDX-License-Identifier: MIT

KOBOSHI_VERSION = 0.1.0
KOBOSHI_SITE = $(BR2_EXTERNAL_KOBOSHI_PATH)/supervisor
KOBOSHI_SITE_METHOD = local
KOBOSHI_LICENSE = MIT
KOBOSHI_LICENSE_FILES = MIT.txt
KOBOSHI_DEPENDENCIES = librfork python3

# The licence is at the top of the repository, the package is one folder of it.
define KOBOSHI_ADD_LICENSE
	cp $(BR2_EXTERNAL_KOBOSHI_PATH)/LICENSES/MIT.txt $(@D)/
endef
KOBOSHI_POST_RSYNC_HOOKS += KOBOSHI_ADD_LICENSE

# /data is where a board's data partition is mounted.
define KOBOSHI_INSTALL_TARGET_CMDS
	$(INSTALL) -d $(TARGET_DIR)/data
	$(INSTALL) -d $(TARGET_DIR)/usr/bin
	cd $(@D) && find koboshi -name '*.py' -o -name '*.json' | while read file; do \
		$(INSTALL) -D -m 0644 $$file $(TARGET_DIR)/usr/lib/koboshi/$$file || exit 1; \
	done
	$(INSTALL) -m 0755 $(@D)/koboshi-supervisor $(@D)/koboshictl \
		$(@D)/koboshi-publish $(TARGET_DIR)/usr/bin/
endef

# A read-only root takes no compiled modules later. The source stays, so that a
# traceback shows the line. Files of an image have no times worth a comparison.
define KOBOSHI_COMPILE_PYTHON
	$(HOST_DIR)/bin/python3 -m compileall -q -f \
		--invalidation-mode unchecked-hash \
		-s $(TARGET_DIR) -p / $(TARGET_DIR)/usr/lib/koboshi
endef
KOBOSHI_TARGET_FINALIZE_HOOKS += KOBOSHI_COMPILE_PYTHON

$(eval $(generic-package))
